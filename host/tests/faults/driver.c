/* A driver of four GPUs whose memory is the host's and whose kernels do nothing. It fails a call
 * that it is told, or all calls on a GPU from one on, and finds what is freed in another context
 * than it was allocated in, or while work is on its way. Streams have run when they are waited
 * for, and not before; those of a GPU that is lost have ended once its context is waited for. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GPUS 4
#define MOST 65536
#define MEMORY (1ul << 33)

typedef struct { void *memory; size_t bytes; int gpu; } Block;
typedef struct Stream Stream;
typedef struct { Stream *stream; long until; long at; } Wait;
struct Stream { int gpu; long put, done; Wait waits[4096]; int count; int is_live; };
typedef struct { Stream *stream; long until; int gpu; } Event;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread long current = 0;
static Block blocks[MOST];
static Stream *streams[MOST];
static int stream_count, live_events, live_pinned;
static size_t used[GPUS];
static long calls, fail_at;
static int code, lost_gpu = -1, failed_gpu = -1;
static const char *violation, *failed_call;

/* The next call `at` fails, or all calls on GPU `lost` from there on. */
void fake_reset(long at, int with, int lost) {
    calls = 0; fail_at = at; code = with; lost_gpu = lost; failed_gpu = -1;
    violation = 0; failed_call = 0;
}
long fake_calls(void) { return calls; }
int fake_failed_gpu(void) { return failed_gpu; }
const char *fake_failed_call(void) { return failed_call; }
const char *fake_violation(void) { return violation; }

/* Allocations, streams and events that there are. */
long fake_live(void) {
    long live = live_pinned + live_events;
    for (int i = 0; i < MOST; i++) live += blocks[i].memory != 0;
    for (int i = 0; i < stream_count; i++) live += streams[i]->is_live;
    return live;
}

static int fails(const char *name) {
    int gpu = (int)current - 1, failed;
    calls++;
    failed = lost_gpu < 0 ? calls == fail_at : fail_at && calls >= fail_at && gpu == lost_gpu;
    if (failed && !failed_call) { failed_call = name; failed_gpu = gpu; }
    return failed ? code : 0;
}

static void has_run(Stream *stream, long until) {
    if (stream->done >= until) return;
    stream->done = until;
    for (int i = 0; i < stream->count; i++)
        if (stream->waits[i].at <= until) has_run(stream->waits[i].stream, stream->waits[i].until);
}

static void check_idle(const char *what) {
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->is_live && streams[i]->done < streams[i]->put)
            violation = what;
}

static int new_block(void **memory, size_t bytes) {
    int gpu = (int)current - 1;
    if (used[gpu] + bytes > MEMORY) return 2;
    for (int i = 0; i < MOST; i++)
        if (!blocks[i].memory) {
            blocks[i] = (Block){calloc(1, bytes + 256), bytes, gpu};
            used[gpu] += bytes;
            *memory = blocks[i].memory;
            return 0;
        }
    return 2;
}

static int free_block(void *memory) {
    check_idle("memory is freed while work is on its way");
    for (int i = 0; i < MOST; i++)
        if (blocks[i].memory == memory) {
            if (blocks[i].gpu != current - 1)
                violation = "memory is freed in another context";
            used[blocks[i].gpu] -= blocks[i].bytes;
            free(memory);
            blocks[i].memory = 0;
            return 0;
        }
    violation = "memory is freed that was not allocated";
    return 1;
}

static int new_stream(Stream **stream) {
    Stream *new = calloc(1, sizeof(Stream));
    new->gpu = (int)current - 1;
    new->is_live = 1;
    streams[stream_count++] = *stream = new;
    return stream_count < MOST ? 0 : 2;
}

/* Drops the streams that no longer live, so that a sweep of many runs has room. */
void fake_forget_streams(void) {
    int kept = 0;
    for (int i = 0; i < stream_count; i++) {
        if (streams[i]->is_live) streams[kept++] = streams[i];
        else free(streams[i]);
    }
    stream_count = kept;
}

static int destroy_stream(Stream *stream) {
    if (stream->done < stream->put)
        violation = "a stream is destroyed while work is on its way";
    stream->is_live = 0;
    return 0;
}

static int wait_event(Stream *stream, Event *event) {
    if (event->stream && stream->count < 4096)
        stream->waits[stream->count++] = (Wait){event->stream, event->until, ++stream->put};
    return 0;
}

static int synchronize_all(void) {
    for (int i = 0; i < stream_count; i++)
        if (streams[i]->gpu == current - 1) has_run(streams[i], streams[i]->put);
    return 0;
}

static int copy(void *to, const void *from, size_t bytes, Stream *stream) {
    if (stream) stream->put++;
    memmove(to, from, bytes);
    return 0;
}

static int fill(void *to, int value, size_t bytes, Stream *stream) {
    if (stream) stream->put++;
    memset(to, value, bytes);
    return 0;
}

static int attribute(int which) {
    switch (which) {
    case 16: return 132;    /* multiprocessors */
    case 75: return 9;      /* compute capability */
    case 97: return 232448; /* shared memory of a block */
    default: return 0;
    }
}

#define CALL(fault, name, arguments, body) \
    int name arguments {                   \
        pthread_mutex_lock(&lock);         \
        int result = fault;                \
        if (!result) result = body;        \
        pthread_mutex_unlock(&lock);       \
        return result;                     \
    }
/* Calls that may fail, and those that do not: they open, enter, or free. */
#define F(name, arguments, body) CALL(fails(#name), name, arguments, body)
#define G(name, arguments, body) CALL(0, name, arguments, body)

G(cuInit, (unsigned flags), 0)
G(cuDriverGetVersion, (int *version), (*version = 13000, 0))
G(cuDeviceGetCount, (int *count), (*count = GPUS, 0))
G(cuDeviceGet, (int *device, int index), (*device = index, 0))
G(cuDeviceGetName, (char *name, int length, int device), (strncpy(name, "Fake", length), 0))
G(cuDeviceGetAttribute, (int *value, int which, int device), (*value = attribute(which), 0))
G(cuDevicePrimaryCtxRetain, (void **context, int gpu), (*context = (void *)(gpu + 1l), 0))
G(cuDevicePrimaryCtxRelease_v2, (int device), 0)
G(cuCtxSetCurrent, (void *context), (current = (long)context, 0))
G(cuDeviceCanAccessPeer, (int *can, int from, int to), (*can = 1, 0))
G(cuCtxEnablePeerAccess, (void *context, unsigned flags), 0)
G(cuModuleLoadData, (void **module, const void *text), (*module = (void *)1, 0))
G(cuModuleLoadDataEx, (void **module, const void *t, unsigned n, void *o, void *v), (*module = (void *)1, 0))
G(cuModuleUnload, (void *module), 0)
G(cuModuleGetFunction, (void **function, void *module, const char *name), (*function = (void *)1, 0))
G(cuFuncSetAttribute, (void *function, int which, int value), 0)
G(cuFuncGetAttribute, (int *value, int which, void *function), (*value = 32, 0))
G(cuOccupancyMaxActiveBlocksPerMultiprocessor, (int *blocks, void *f, int threads, size_t shared), (*blocks = 2, 0))
G(cuGetErrorName, (int status, const char **name), 1)
G(cuGetErrorString, (int status, const char **text), 1)
F(cuMemGetInfo_v2, (size_t *free, size_t *total), (*free = MEMORY - used[current - 1], *total = MEMORY, 0))
F(cuMemAlloc_v2, (void **memory, size_t bytes), new_block(memory, bytes))
G(cuMemFree_v2, (void *memory), free_block(memory))
F(cuMemAllocHost_v2, (void **memory, size_t bytes), (*memory = calloc(1, bytes), live_pinned++, 0))
static int free_pinned(void *memory) {
    check_idle("pinned memory is freed while work is on its way");
    free(memory);
    live_pinned--;
    return 0;
}
G(cuMemFreeHost, (void *memory), free_pinned(memory))
F(cuStreamCreateWithPriority, (Stream **stream, unsigned flags, int priority), new_stream(stream))
G(cuStreamDestroy_v2, (Stream *stream), destroy_stream(stream))
F(cuStreamSynchronize, (Stream *stream), (has_run(stream, stream->put), 0))
F(cuStreamIsCapturing, (Stream *stream, int *is), (*is = 0, 0))
F(cuStreamWaitEvent, (Stream *stream, Event *event, unsigned flags), wait_event(stream, event))
G(cuCtxSynchronize, (void), synchronize_all())
F(cuEventCreate, (Event **event, unsigned flags), (*event = calloc(1, sizeof(Event)), live_events++, 0))
G(cuEventDestroy_v2, (Event *event), (free(event), live_events--, 0))
F(cuEventRecord, (Event *event, Stream *stream), (event->stream = stream, event->until = stream->put, 0))
F(cuEventSynchronize, (Event *event), (event->stream ? has_run(event->stream, event->until) : (void)0, 0))
F(cuEventQuery, (Event *event), (event->stream ? has_run(event->stream, event->until) : (void)0, 0))
F(cuMemcpyHtoD_v2, (void *to, const void *from, size_t bytes), copy(to, from, bytes, 0))
F(cuMemcpyDtoH_v2, (void *to, const void *from, size_t bytes), copy(to, from, bytes, 0))
F(cuMemcpyHtoDAsync_v2, (void *to, const void *from, size_t bytes, Stream *s), copy(to, from, bytes, s))
F(cuMemcpyDtoHAsync_v2, (void *to, const void *from, size_t bytes, Stream *s), copy(to, from, bytes, s))
F(cuMemcpyDtoDAsync_v2, (void *to, const void *from, size_t bytes, Stream *s), copy(to, from, bytes, s))
F(cuMemcpyAsync, (void *to, const void *from, size_t bytes, Stream *s), copy(to, from, bytes, s))
F(cuMemcpyPeerAsync, (void *to, void *there, const void *from, void *here, size_t bytes, Stream *s), copy(to, from, bytes, s))
F(cuMemsetD8_v2, (void *to, unsigned char value, size_t bytes), fill(to, value, bytes, 0))
F(cuMemsetD8Async, (void *to, unsigned char value, size_t bytes, Stream *s), fill(to, value, bytes, s))
F(cuMemsetD32Async, (void *to, unsigned value, size_t n, Stream *s), fill(to, value, 4 * n, s))
F(cuLaunchKernel, (void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned shared, Stream *s, void **p, void **x), (s->put++, 0))
