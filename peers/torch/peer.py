"""torch.sort as a peer.

It sorts out of place and always returns the indices too, 64-bit ones: that is what a
caller of it waits for, so that is what is timed. Where the indices are asked for, equal keys
keep their order, which PyTorch promises by `stable=True` alone. Memory comes from PyTorch's
pool, so nothing is allocated once a sort has run. Timed by events on the current stream.
"""

from serve import library, serve, version

torch = library("torch")

# PyTorch's names of the types, and the signed ones of their size, which numpy's arrays
# of any type can be handed over as.
DTYPES = {
    "u8": ("uint8", "<i1"),
    "u16": ("uint16", "<i2"),
    "f16": ("float16", "<i2"),
    "u32": ("uint32", "<i4"),
    "i32": ("int32", "<i4"),
    "f32": ("float32", "<i4"),
    "u64": ("uint64", "<i8"),
}
# Types whose indices are asked for.
INDEXED = ("u32", "f32", "u64")


def sortable(name):
    """True if this PyTorch has a type and sorts keys of it on the GPU: it does not say."""
    try:
        torch.sort(torch.zeros(2, dtype=getattr(torch, name), device="cuda"))
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return True


class Sorter:
    name = "torch"
    sorts = ("descending",)
    # NaN comes last by the documentation; a radix sort puts those with a sign first.
    orders = ("nan-last", "zeros-equal")

    def __init__(self):
        if not torch.cuda.is_available():
            raise RuntimeError("PyTorch sees no GPU")
        self.version = version(torch)
        self.device = torch.cuda.get_device_name()
        self.types = [name for name, (dtype, _) in DTYPES.items() if sortable(dtype)]
        self.types += [f"{name}+index" for name in INDEXED if name in self.types]
        self.start = torch.cuda.Event(enable_timing=True)
        self.end = torch.cuda.Event(enable_timing=True)
        self.keys = self.sorted = None
        self.stable = self.descending = False

    @property
    def call(self):
        return "torch.sort-stable" if self.stable else "torch.sort"

    def load(self, name, keys, indexed, descending):
        # What the last input took goes first.
        self.keys = self.sorted = None
        torch.cuda.empty_cache()
        self.stable, self.descending = indexed, descending
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
        self.sorted = torch.sort(self.keys, stable=self.stable, descending=self.descending)
        self.end.record()
        self.end.synchronize()
        return self.start.elapsed_time(self.end)

    def result(self):
        if self.sorted is None:
            raise ValueError("nothing has been sorted")
        keys, indices = self.sorted
        carrier = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        keys = keys.view(carrier[keys.element_size()]).cpu().numpy()
        return keys, indices.cpu().numpy() if self.stable else None


serve(Sorter)
