/* A driver whose calls succeed but those whose names begin with FAKE_AT, which return
 * FAKE_CODE. It shows a GPU, or none where FAKE_NONE is set. */
#include <stdlib.h>
#include <string.h>
static int at(const char *name) {
    const char *where = getenv("FAKE_AT");
    return where && !strncmp(where, name, strlen(where)) ? atoi(getenv("FAKE_CODE")) : 0;
}
#define F(name, arguments, body) \
    int name arguments { int fault = at(#name); if (fault) return fault; body; return 0; }
F(cuInit, (unsigned flags), )
F(cuDriverGetVersion, (int *version), *version = 13000)
F(cuDeviceGetCount, (int *count), *count = getenv("FAKE_NONE") ? 0 : 1)
F(cuDeviceGet, (int *device, int index), *device = index)
F(cuDeviceGetName, (char *name, int length, int device), strncpy(name, "Fake GPU", length))
F(cuDeviceGetAttribute, (int *value, int which, int device), *value = which == 75 ? 9 : 0)
F(cuDevicePrimaryCtxRetain, (void **context, int device), *context = (void *)1)
F(cuDevicePrimaryCtxSetFlags_v2, (int device, unsigned flags), )
F(cuDevicePrimaryCtxRelease_v2, (int device), )
F(cuCtxSetCurrent, (void *context), )
F(cuCtxCreate_v2, (void **context, unsigned flags, int device), *context = (void *)1)
F(cuModuleLoadData, (void **module, const void *text), )
F(cuModuleLoadDataEx, (void **module, const void *text, unsigned n, void *o, void *v), )
F(cuGetErrorName, (int code, const char **name), return 1)
F(cuGetErrorString, (int code, const char **text), return 1)
