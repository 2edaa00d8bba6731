//! The exchange of sorted runs between devices, piece by piece, and the merges of each piece.
//!
//! A piece of a result takes a run of each device's sorted part. Copy engines send the runs of
//! other devices, on a stream for each pair of devices, in the order of pieces. The receiver's
//! stream waits for a piece's runs and merges them pairwise, in the order of devices, which keeps
//! equal keys in order; the last merge of a piece writes the output.

use super::merge::DevicesMerge;
use crate::error::Error;
use crate::gpu::GpuKey;
use crate::gpu::merger::{Run, merge};
use crate::gpu::stream::copy;

/// An exchange between the devices of a merge.
pub(super) struct Exchange<'a, K: GpuKey> {
    pub merge: &'a DevicesMerge<K>,
    /// The sorted part of each device.
    pub sorted: &'a [Run],
    /// For each piece of the whole result, and its end, the keys of each sorted part before it.
    pub cuts: &'a [Vec<u32>],
}

/// A run of a piece, and whether it lies where earlier rounds of merging have put it.
#[derive(Clone, Copy, Debug)]
struct Merged {
    run: Run,
    is_merged: bool,
}

impl<K: GpuKey> Exchange<'_, K> {
    /// Puts all copies and merges on the streams. The part of `output` of a device is there when
    /// its stream has run. All parts are sorted.
    pub fn run(&self, output: &[Run]) -> Result<(), Error> {
        let count = self.merge.lanes.len();
        let mut written = vec![0; count];
        let mut received = vec![0; count];
        for piece in 0..self.merge.pieces {
            for to in 0..count {
                let index = to * self.merge.pieces + piece;
                let len = (0..count).map(|from| self.taken(index, from)).sum();
                let target = output[to].part::<K>(written[to], len);
                written[to] += len;
                let runs = self.send(index, to, target, &mut received[to])?;
                self.merge_runs(to, runs, target)?;
            }
        }
        Ok(())
    }

    /// Keys of a piece that come from the sorted part of a device.
    fn taken(&self, piece: usize, from: usize) -> usize {
        (self.cuts[piece + 1][from] - self.cuts[piece][from]) as usize
    }

    /// Has the other devices send their runs of a piece to device `to`, whose stream waits for
    /// them; `received` keys of its room are taken before, and more after. Returns the piece's
    /// runs. One that is the whole piece goes straight to `target`.
    fn send(
        &self,
        piece: usize,
        to: usize,
        target: Run,
        received: &mut usize,
    ) -> Result<Vec<Run>, Error> {
        let lanes = &self.merge.lanes;
        let mut runs = Vec::new();
        for from in 0..lanes.len() {
            let len = self.taken(piece, from);
            if len == 0 {
                continue;
            }
            let sorted = self.sorted[from].part::<K>(self.cuts[piece][from] as usize, len);
            if from == to {
                runs.push(sorted);
                continue;
            }
            let room = match len == target.len {
                true => target,
                false => {
                    *received += len;
                    lanes[to].received().part::<K>(*received - len, len)
                }
            };
            // SAFETY: the sorted parts are whole; the receiver has sorted its own, and no other
            // run takes this room; all live until the run has ended.
            unsafe { self.merge.send((from, sorted), (to, room), &lanes[to].stream)? };
            runs.push(room);
        }
        Ok(runs)
    }

    /// Merges the runs of a piece on device `to` into `target`.
    fn merge_runs(&self, to: usize, runs: Vec<Run>, target: Run) -> Result<(), Error> {
        match runs[..] {
            [] => return Ok(()),
            [whole] if whole.keys == target.keys => return Ok(()),
            [whole] => return self.merge.devices.on(to, |_| self.copy(to, whole, target)),
            _ => {}
        }
        let unmerged = |run| Merged { run, is_merged: false };
        let mut runs: Vec<Merged> = runs.into_iter().map(unmerged).collect();
        let between = self.merge.lanes[to].between.run();
        while runs.len() > 1 {
            // Rounds take turns such that the last one ends in the target.
            let rounds = runs.len().next_power_of_two().trailing_zeros();
            let end = if rounds % 2 == 1 { target } else { between };
            runs = self.merge.devices.on(to, |_| self.round(to, &runs, end))?;
        }
        Ok(())
    }

    /// Merges pairs of runs to where `end` begins, one after the other.
    fn round(&self, to: usize, runs: &[Merged], end: Run) -> Result<Vec<Merged>, Error> {
        let lane = &self.merge.lanes[to];
        let mut at = 0;
        let mut merged = Vec::new();
        for pair in runs.chunks(2) {
            let len = pair.iter().map(|of| of.run.len).sum();
            let output = end.part::<K>(at, len);
            at += len;
            merged.push(match *pair {
                [a, b] => {
                    let order_mask = self.merge.order.order_mask::<K>();
                    let runs = [a.run, b.run];
                    // SAFETY: the stream has waited for both; the output is theirs alone and lies
                    // where no run of this round does; a piece is within what is counted.
                    unsafe {
                        merge::<K>(lane.merge, order_mask, runs, output, 0..len, &lane.stream)?;
                    }
                    Merged { run: output, is_merged: true }
                }
                // The room of earlier rounds is written again in the next one.
                [odd] if odd.is_merged => {
                    self.copy(to, odd.run, output)?;
                    Merged { run: output, ..odd }
                }
                _ => pair[0],
            });
        }
        Ok(merged)
    }

    /// Copies a run on device `to`, which is entered.
    fn copy(&self, to: usize, from: Run, target: Run) -> Result<(), Error> {
        let stream = &self.merge.lanes[to].stream;
        let (keys, values) =
            ((from.len * size_of::<K>()) as u64, (from.len * size_of::<u32>()) as u64);
        // SAFETY: the runs are apart and live until the run has ended.
        unsafe {
            copy(from.keys, target.keys, keys, stream)?;
            if self.merge.paired {
                copy(from.values, target.values, values, stream)?;
            }
        }
        Ok(())
    }
}
