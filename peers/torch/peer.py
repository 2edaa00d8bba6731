"""torch.sort as a peer.

It sorts out of place and always returns the indices too, 64-bit ones: that is what a
caller of it waits for, so that is what is timed. Memory comes from PyTorch's pool, so
nothing is allocated once a sort has run. Timed by events on the current stream.
"""

from serve import library, serve, version

torch = library("torch")

# PyTorch's names of the types, and the signed ones of their size, which numpy's arrays
# of any type can be handed over as.
DTYPES = {
    "u32": ("uint32", "<i4"),
    "i32": ("int32", "<i4"),
    "f32": ("float32", "<i4"),
    "u64": ("uint64", "<i8"),
}


def sortable(name):
    """Whether this PyTorch has a type and sorts keys of it on the GPU: it does not say."""
    try:
        torch.sort(torch.zeros(2, dtype=getattr(torch, name), device="cuda"))
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return True


class Sorter:
    name = "torch"
    call = "torch.sort"
    # NaN comes last by the documentation; a radix sort puts those with a sign first.
    orders = ("nan-last", "zeros-equal")

    def __init__(self):
        if not torch.cuda.is_available():
            raise RuntimeError("PyTorch sees no GPU")
        self.version = version(torch)
        self.device = torch.cuda.get_device_name()
        self.types = [name for name, (dtype, _) in DTYPES.items() if sortable(dtype)]
        self.start = torch.cuda.Event(enable_timing=True)
        self.end = torch.cuda.Event(enable_timing=True)
        self.keys = self.sorted = None

    def load(self, keys):
        # What the last input took goes first.
        self.keys = self.sorted = None
        torch.cuda.empty_cache()
        name = {"<u4": "u32", "<i4": "i32", "<f4": "f32", "<u8": "u64"}[keys.dtype.str]
        dtype, carrier = DTYPES[name]
        self.keys = torch.from_numpy(keys.view(carrier)).cuda().view(getattr(torch, dtype))

    def spoil(self):
        """Overwrites the last result, so that what is left of it passes for no other."""
        if self.sorted is not None:
            self.sorted.values.view(torch.uint8).zero_()

    def run(self):
        self.sorted = None
        torch.cuda.synchronize()
        self.start.record()
        self.sorted = torch.sort(self.keys)
        self.end.record()
        self.end.synchronize()
        return self.start.elapsed_time(self.end)

    def result(self):
        if self.sorted is None:
            raise ValueError("nothing has been sorted")
        keys = self.sorted.values
        carrier = torch.int64 if keys.element_size() == 8 else torch.int32
        return keys.view(carrier).cpu().numpy()


serve(Sorter)
