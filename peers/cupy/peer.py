"""cupy.sort and cupy.argsort as a peer.

Resident: cp.sort of an array on the device, which copies it and sorts the copy in place, or
cp.argsort, which gives 64-bit indices and no keys; these are gathered when a result is saved.
Memory comes from CuPy's pool, so nothing is allocated once a sort has run. Timed by
events on the current stream.

End to end: from a host array in ordinary, pageable memory to another, by the host's
clock: copied to the device, sorted, copied back.
"""

import time

from serve import library, serve, version

cp = library("cupy")


class Sorter:
    name = "cupy"
    # NaN comes last by the documentation; a radix sort puts those with a sign first.
    orders = ("nan-last", "zeros-equal")
    types = ("u8", "u16", "f16", "u32", "i32", "f32", "u64", "u32+index", "f32+index", "u64+index")
    sorts = ("numeric",)

    def __init__(self):
        self.version = version(cp)
        properties = cp.cuda.runtime.getDeviceProperties(cp.cuda.Device().id)
        self.device = properties["name"].decode()
        self.start, self.end = cp.cuda.Event(), cp.cuda.Event()
        self.host = self.keys = self.sorted = None
        self.indexed = False

    @property
    def call(self):
        return "cupy.argsort" if self.indexed else "cupy.sort"

    def load(self, _name, keys, indexed, _descending):
        # What the last input took goes first.
        self.keys = self.sorted = None
        cp.get_default_memory_pool().free_all_blocks()
        self.host, self.indexed = keys, indexed
        self.keys = cp.asarray(keys)

    def spoil(self):
        """Overwrites the last result, so that what is left of it passes for no other."""
        if self.sorted is not None:
            self.sorted.fill(0)

    def run(self):
        self.sorted = None
        sort = cp.argsort if self.indexed else cp.sort
        cp.cuda.Device().synchronize()
        self.start.record()
        self.sorted = sort(self.keys)
        self.end.record()
        self.end.synchronize()
        return cp.cuda.get_elapsed_time(self.start, self.end)

    def end_to_end(self):
        self.sorted = None
        start = time.perf_counter()
        self.sorted = cp.asnumpy(cp.sort(cp.asarray(self.host)))
        return (time.perf_counter() - start) * 1e3

    def result(self):
        if self.sorted is None:
            raise ValueError("nothing has been sorted")
        if self.indexed:
            return cp.asnumpy(self.keys[self.sorted]), cp.asnumpy(self.sorted)
        return cp.asnumpy(self.sorted), None


serve(Sorter)
