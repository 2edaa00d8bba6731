//! Sorts of one array over several devices.

use std::sync::Arc;

use cust::stream::Stream;

use super::buckets::BucketExchange;
use super::merge::DevicesMerge;
use super::{Devices, Each, Parts};
use crate::error::Error;
use crate::gpu::launch::Workplace;
use crate::gpu::merger::Run;
use crate::gpu::run::Arguments;
use crate::gpu::{GpuKey, Order, Payload, Sort, Workspace};

/// A prepared sort of one array over several devices, which can run any number of times. It sorts
/// keys of 4 or 8 bytes, alone or with values of 4 bytes, from the parts of the input to equal
/// parts of the result. It is stable: equal keys keep their order in the whole array.
///
/// Each device sorts its part, then the sorted parts are merged ([`DevicesMerge`]). For very many
/// evenly spread keys, each device orders its own keys by their upper 16 bits. Then the devices
/// exchange buckets, and each sorts its buckets locally.
///
/// The input is unchanged, even after an error. On each device a run takes the input's part, its
/// part of the result, and [`workspace_bytes`](Self::workspace_bytes), which is twice that and a
/// little.
///
/// ```
/// use host::gpu::devices::{Devices, DevicesSort, Parts};
/// use host::gpu::{Order, Payload};
///
/// # fn main() -> Result<(), host::Error> {
/// let Ok(devices) = Devices::open_all() else {
///     return Ok(());
/// };
/// let keys = Parts::upload(&devices, &[2.5, -1.0, 0.0, 7.5])?;
/// let mut sorted = Parts::blank(&devices, 4)?;
/// let lengths = keys.lengths();
/// DevicesSort::new(&devices, &lengths, Payload::None, Order::ascending())?
///     .keys(&keys, &mut sorted)?;
/// assert_eq!(sorted.download()?, [-1.0, 0.0, 2.5, 7.5]);
/// # Ok(())
/// # }
/// ```
pub struct DevicesSort<K: GpuKey> {
    merge: DevicesMerge<K>,
    /// The exchange of buckets, if there may be any.
    buckets: Option<BucketExchange<K>>,
    lanes: Each<Lane<K>>,
}

/// A device's sort of its part.
struct Lane<K: GpuKey> {
    sort: Sort<K>,
    workspace: Workspace,
}

impl<K: GpuKey> DevicesSort<K> {
    /// A sort over `devices` of as many keys as `lengths` says for each part of the input.
    ///
    /// # Errors
    /// As [`DevicesMerge::new`]; values that are not of 4 bytes.
    pub fn new(
        devices: &Arc<Devices>,
        lengths: &[usize],
        payload: Payload,
        order: Order,
    ) -> Result<Self, Error> {
        let paired = match payload {
            Payload::None => false,
            Payload::Value(4) => true,
            other => return Err(Error::DevicesPayload { payload: format!("{other:?}") }),
        };
        let merge = DevicesMerge::with_rooms(devices, lengths, paired, order.clone(), true)?;
        let alone = lengths.len() == 1;
        let lanes = Each::new(devices, |index, device| {
            let length = lengths[index];
            let sort = Sort::new(Arc::clone(device), length.max(1), payload, order.clone())?;
            Ok(Lane {
                workspace: if alone { sort.workspace()? } else { sort.ping_pong_workspace()? },
                sort,
            })
        })?;
        let by_bucket = |(lane, &length): (&Lane<K>, &usize)| lane.sort.is_by_bucket(length);
        let buckets = match lanes.iter().zip(lengths).all(by_bucket) {
            true => BucketExchange::new(&merge)?,
            false => None,
        };
        Ok(DevicesSort { merge, buckets, lanes })
    }

    /// Bytes of GPU memory that a run needs beside input and output, on all devices together.
    pub fn workspace_bytes(&self) -> u64 {
        let own = self.lanes.iter().map(|lane| lane.workspace.bytes()).sum::<u64>();
        let buckets = self.buckets.as_ref().map_or(0, |buckets| buckets.bytes());
        own + buckets + self.merge.workspace_bytes()
    }

    /// Sorts the keys of `input` into `output`, whose parts must be equal, as from
    /// [`Parts::blank`]. Returns when they are sorted.
    ///
    /// # Errors
    /// Other lengths than prepared for; a sort prepared with values. A failure of a device, with
    /// its name: then all work has ended, and the content of the output is undefined.
    pub fn keys(&mut self, input: &Parts<K>, output: &mut Parts<K>) -> Result<(), Error> {
        self.merge.check_payload(false)?;
        self.merge.check(&input.lengths(), output)?;
        self.run(&input.runs(None), &output.runs(None))
    }

    /// Sorts keys with values. For an argsort, pass the indices of the keys as values. Errors as in
    /// [`keys`](Self::keys).
    pub fn pairs(
        &mut self,
        (keys, values): (&Parts<K>, &Parts<u32>),
        (keys_out, values_out): (&mut Parts<K>, &mut Parts<u32>),
    ) -> Result<(), Error> {
        self.merge.check_payload(true)?;
        self.merge.check(&keys.lengths(), keys_out)?;
        self.merge.check(&values.lengths(), values_out)?;
        self.run(&keys.runs(Some(values)), &keys_out.runs(Some(values_out)))
    }

    /// Sorts live memory of each device, as long as was checked.
    fn run(&mut self, input: &[Run], output: &[Run]) -> Result<(), Error> {
        let done = match self.lanes.len() {
            1 => self.sort_parts(input, output).and_then(|()| self.merge.wait()),
            _ => self.sort_and_exchange(input, output),
        };
        done.inspect_err(|_| self.merge.devices.settle())
    }

    fn sort_and_exchange(&mut self, input: &[Run], output: &[Run]) -> Result<(), Error> {
        let own: Vec<Run> = self.merge.lanes.iter().map(|lane| lane.own()).collect();
        self.sort_parts(input, &own)?;
        if let Some(buckets) = &mut self.buckets {
            let place = |lane: &Lane<K>| lane.sort.workplace(&lane.workspace);
            let places: Vec<Workplace> = self.lanes.iter().map(place).collect();
            let options = self.lanes[0].sort.options(false);
            if buckets.run(&self.merge, &places, output, options)? {
                return self.merge.wait();
            }
            self.on_each_lane(input, &own, |sort, n, arguments, workspace, stream| {
                // SAFETY: `sort_parts` has put the same on this stream.
                unsafe { sort.local(n, arguments, workspace, stream) }
            })?;
        }
        self.merge.run(&own, output)
    }

    /// Has each device sort its part, up to local sorts of buckets if these may be exchanged.
    fn sort_parts(&mut self, input: &[Run], sorted: &[Run]) -> Result<(), Error> {
        let exchanges = self.buckets.is_some();
        self.on_each_lane(input, sorted, |sort, n, arguments, workspace, stream| {
            // SAFETY: input and output are as long as was checked, the rooms no shorter, and all
            // are apart; nothing uses them before the end of the run.
            unsafe { sort.run_locally(n, arguments, workspace, stream, !exchanges) }
        })
    }

    fn on_each_lane(
        &mut self,
        input: &[Run],
        sorted: &[Run],
        work: impl Fn(&Sort<K>, u64, Arguments, &mut Workspace, &Stream) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let alone = self.lanes.len() == 1;
        let each = self.lanes.iter_mut().zip(self.merge.lanes.iter()).enumerate();
        for (index, (Lane { sort, workspace }, lane)) in each {
            let (from, to, second) = (input[index], sorted[index], lane.received());
            let arguments = Arguments {
                keys: (from.keys, to.keys),
                values: self.merge.paired.then_some((from.values, to.values)),
                second: (!alone).then_some((second.keys, second.values)),
            };
            let n = from.len as u64;
            self.merge.devices.on(index, |_| work(sort, n, arguments, workspace, &lane.stream))?;
        }
        Ok(())
    }
}
