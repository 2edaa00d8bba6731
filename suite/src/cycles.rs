//! Cycles of a GPU's multiprocessors that an element takes: `time x clock x multiprocessors / n`.
//! They compare kernels between GPUs of other clocks and sizes, where memory is not the limit.

use crate::environment::Gpu;
use crate::lines::Sample;
use crate::statistics::median;

/// Cycles of all multiprocessors for an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cycles {
    /// Cycles.
    pub per_element: f64,
    /// True where no clock was read beside the samples, and the GPU's nominal one stands for it.
    pub nominal: bool,
}

impl Cycles {
    /// Of samples by the clock of `gpu`, each a sort of so many elements; none where that clock
    /// or the number of multiprocessors is not known.
    pub fn of(gpu: Option<&Gpu>, elements: f64, samples: &[Sample]) -> Option<Self> {
        let gpu = gpu?;
        let multiprocessors = f64::from(gpu.multiprocessors?);
        let all = |figure: fn(&Sample) -> Option<f64>| {
            samples.iter().map(figure).collect::<Option<Vec<f64>>>().filter(|all| !all.is_empty())
        };
        let (cycles, nominal) = match all(|sample| sample.sm_cycles) {
            Some(cycles) => (median(&cycles), false),
            None => {
                let seconds = median(&all(|sample| sample.device_s)?);
                (seconds * gpu.sm_clock_nominal_hz? as f64, true)
            }
        };
        Some(Self { per_element: cycles * multiprocessors / elements, nominal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(device_s: Option<f64>, sm_clock_hz: Option<f64>) -> Sample {
        let case = "device/u32-uniform/gpu/1/1000".parse().unwrap();
        let sm_cycles = device_s.zip(sm_clock_hz).map(|(seconds, hertz)| seconds * hertz);
        Sample { device_s, sm_clock_hz, sm_cycles, ..Sample::by_host("e", case, 0, 1.0) }
    }

    #[test]
    fn the_clock_beside_the_samples_counts_and_else_the_nominal_one() {
        let gpu = Gpu {
            multiprocessors: Some(132),
            sm_clock_nominal_hz: Some(2_000_000_000),
            ..Gpu::default()
        };
        let of = |samples: &[Sample]| Cycles::of(Some(&gpu), 1000.0, samples);
        let cycles = |per_element, nominal| Some(Cycles { per_element, nominal });
        let read = [sample(Some(1e-6), Some(1e9)), sample(Some(3e-6), Some(1e9))];
        assert_eq!(of(&read), cycles(264.0, false));
        let partly = [sample(Some(1e-6), Some(1e9)), sample(Some(1e-6), None)];
        assert_eq!(of(&partly), cycles(264.0, true));
        assert_eq!(of(&[sample(None, Some(1e9))]), None, "by the host's clock");
        assert_eq!(of(&[]), None);
        let unknown = Gpu { multiprocessors: None, ..gpu.clone() };
        assert_eq!(Cycles::of(Some(&unknown), 1000.0, &read), None);
        assert_eq!(Cycles::of(None, 1000.0, &read), None);
    }
}
