/* NVML of an old driver with a GPU that has every trouble. */
#include <string.h>
typedef unsigned u; typedef unsigned long long ull; typedef void *dev;
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *s, u n) { strcpy(s, "450.80.02"); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 11000; return 0; }
int nvmlSystemGetCudaDriverVersion(int *v) { *v = 11000; return 0; }
int nvmlDeviceGetCount_v2(u *n) { *n = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(u i, dev *d) { *d = (dev)1; return 0; }
int nvmlDeviceGetName(dev d, char *s, u n) { strcpy(s, "NVIDIA A100"); return 0; }
int nvmlDeviceGetCudaComputeCapability(dev d, int *a, int *b) { *a = 8; *b = 0; return 0; }
int nvmlDeviceGetMigMode(dev d, u *now, u *then) { *now = *then = 1; return 0; }
int nvmlDeviceGetComputeMode(dev d, int *mode) { *mode = 2; return 0; }
int nvmlDeviceGetTotalEccErrors(dev d, int kind, int count, ull *n) { *n = kind * 5; return 0; }
struct memory { u version; ull total, reserved, free, used; };
int nvmlDeviceGetMemoryInfo_v2(dev d, struct memory *m) {
    m->total = 80000000000; m->used = 30000000000; return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(dev d, ull *r) { *r = 0x4; return 0; }
