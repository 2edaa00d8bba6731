// cub::DeviceRadixSort as a peer: answers requests, one a line on standard input, with
// JSON objects, one a line on standard output. docs/PEERS.md has the protocol.
//
// CUB can be called in ways that differ in speed, and it is not ours to choose one that
// is slow. Each way is a variant that is timed by itself:
//
// - the type of the count of elements, 32 or 64 bits wide, chooses the type of offsets in
//   CUB's kernels; that changes tiles, and with them what the compiler makes of a kernel;
// - pointers leave the input as it is and take a buffer of its size beside the result's;
//   a double buffer is sorted within itself, so its input is copied in before the clock
//   starts.
//
// Keys are sorted ascending by all their bits, or as the words behind their type say:
// `u32@descending`, `u64@0..32`. CUB makes no indices: those of `u32+index` are values, which lie
// there before the clock starts.
//
// Where the input is cut into segments, each is sorted by itself: by
// cub::DeviceSegmentedSort or by cub::DeviceSegmentedRadixSort.
//
// Temporary storage is asked for and allocated beforehand. The clock is a pair of events on
// the sort's own stream around that one call, on a stream that is idle when the first is
// recorded; so what a caller waits for is counted, launches included.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <future>
#include <iostream>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_segmented_radix_sort.cuh>
#include <cub/device/device_segmented_sort.cuh>
#include <cub/version.cuh>

namespace {

// Version of the protocol, not of the peer.
constexpr int protocol = 2;

// A way to call CUB.
struct variant {
    const char *name;
    bool wide_count;
    bool double_buffer;
    bool segmented;
};

constexpr variant variants[] = {
    {"count32", false, false, false},
    {"count64", true, false, false},
    {"count32-double-buffer", false, true, false},
    {"count64-double-buffer", true, true, false},
    {"segmented-sort", false, false, true},
    {"segmented-radix-sort", false, false, true},
};
// The variant of the two that sorts by radix whatever the segments' lengths.
constexpr const variant &segmented_radix_sort = variants[5];

// The order that keys are sorted in.
struct order {
    bool descending = false;
    // Bits that are sorted by, the first and one past the last; all where that is 0.
    int begin = 0;
    int end = 0;
};

// Bytes moved between a file and the device at a time, and threads that do so: one alone
// moves no more than a gigabyte or two a second.
constexpr std::size_t chunk_bytes = std::size_t{16} << 20;
constexpr unsigned movers = 8;

// A request that could not be served. The peer goes on with the next.
struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void check(cudaError_t status, const char *action) {
    if (status != cudaSuccess) {
        cudaGetLastError();
        throw failure(std::string(action) + ": " + cudaGetErrorString(status));
    }
}

// Device memory, freed with its owner.
class device_memory {
public:
    explicit device_memory(std::size_t bytes) {
        // The sort asks for storage by a null pointer, so there is always one byte.
        check(cudaMalloc(&address_, bytes == 0 ? 1 : bytes), "allocating GPU memory");
    }
    ~device_memory() { cudaFree(address_); }
    device_memory(const device_memory &) = delete;
    device_memory &operator=(const device_memory &) = delete;

    template <class T> T *as() const { return static_cast<T *>(address_); }

private:
    void *address_ = nullptr;
};

// Calls `move(begin, chunk)` for each chunk of so many bytes, in several threads.
template <class Move> void in_chunks(std::size_t bytes, Move move) {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        std::vector<char> chunk(std::min(bytes, chunk_bytes));
        for (std::size_t begin; (begin = next.fetch_add(chunk_bytes)) < bytes;) {
            chunk.resize(std::min(bytes - begin, chunk_bytes));
            move(begin, chunk);
        }
    };
    std::vector<std::future<void>> running;
    for (unsigned i = 0; i < movers && i * chunk_bytes < bytes; ++i) {
        running.push_back(std::async(std::launch::async, work));
    }
    for (std::future<void> &part : running) {
        part.get();
    }
}

void read_file(const std::string &path, char *to, std::size_t bytes) {
    in_chunks(bytes, [&](std::size_t begin, std::vector<char> &chunk) {
        std::ifstream file(path, std::ios::binary);
        file.seekg(static_cast<std::streamoff>(begin));
        if (!file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()))) {
            throw failure("cannot read " + std::to_string(bytes) + " bytes of " + path);
        }
        check(cudaMemcpy(to + begin, chunk.data(), chunk.size(), cudaMemcpyHostToDevice),
              "copying to the GPU");
    });
}

void write_file(const std::string &path, const char *from, std::size_t bytes) {
    std::ofstream(path, std::ios::binary);
    in_chunks(bytes, [&](std::size_t begin, std::vector<char> &chunk) {
        check(cudaMemcpy(chunk.data(), from + begin, chunk.size(), cudaMemcpyDeviceToHost),
              "copying from the GPU");
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(begin));
        file.write(chunk.data(), static_cast<std::streamsize>(chunk.size()));
        if (!file.flush()) {
            throw failure("cannot write " + path);
        }
    });
}

// A loaded input and where its sorted form goes.
class job {
public:
    virtual ~job() = default;
    // True if a variant can sort this input.
    virtual bool suits(const variant &way) const = 0;
    // Overwrites the result, so that nothing of an earlier sort passes for one.
    virtual void spoil() = 0;
    // Queues what a sort needs done before its clock starts.
    virtual void prepare(const variant &way, cudaStream_t stream) = 0;
    // Queues one sort.
    virtual void sort(const variant &way, cudaStream_t stream) = 0;
    // Bytes of memory that a sort is given beside input and result.
    virtual std::size_t temporary_bytes(const variant &way) = 0;
    // Writes the result to files in a folder.
    virtual void save(const std::string &folder) const = 0;
};

// One array in a file of the folder, the array it is sorted into, and the other half of
// the double buffer whose first half that array is.
template <class T> class column {
public:
    column(const std::string &path, std::uint64_t n)
        : bytes_(n * sizeof(T)), input_(bytes_), output_(bytes_), other_(bytes_) {
        read_file(path, input_.template as<char>(), bytes_);
    }
    const T *input() const { return input_.template as<const T>(); }
    T *output() const { return output_.template as<T>(); }
    cub::DoubleBuffer<T> buffers() const { return {output(), other_.template as<T>()}; }
    void result(const T *where) { result_ = where; }
    void spoil() const {
        for (T *array : {output(), other_.template as<T>()}) {
            check(cudaMemset(array, 0xA5, bytes_), "overwriting the result");
        }
    }
    void copy_in(cudaStream_t stream) const {
        check(cudaMemcpyAsync(output(), input(), bytes_, cudaMemcpyDeviceToDevice, stream),
              "copying the input");
    }
    void save(const std::string &path) const {
        write_file(path, reinterpret_cast<const char *>(result_), bytes_);
    }

private:
    std::size_t bytes_;
    device_memory input_;
    device_memory output_;
    device_memory other_;
    const T *result_ = output();
};

// Keys alone have no values.
template <> class column<cub::NullType> {
public:
    column(const std::string &, std::uint64_t) {}
    void spoil() const {}
    void copy_in(cudaStream_t) const {}
    void save(const std::string &) const {}
};

// CUB's sort of keys alone, upwards or downwards.
template <class... Arguments>
cudaError_t sort_keys(bool descending, Arguments &&...arguments) {
    using sort = cub::DeviceRadixSort;
    return descending ? sort::SortKeysDescending(std::forward<Arguments>(arguments)...)
                      : sort::SortKeys(std::forward<Arguments>(arguments)...);
}

// The same of keys with values.
template <class... Arguments>
cudaError_t sort_pairs(bool descending, Arguments &&...arguments) {
    using sort = cub::DeviceRadixSort;
    return descending ? sort::SortPairsDescending(std::forward<Arguments>(arguments)...)
                      : sort::SortPairs(std::forward<Arguments>(arguments)...);
}

template <class Key, class Value> class radix_job : public job {
public:
    radix_job(const std::string &folder, std::uint64_t n, order by)
        : n_(n), by_(by), keys_(folder + "/keys", n), values_(folder + "/values", n) {
        if (by_.end == 0) {
            by_.end = static_cast<int>(sizeof(Key) * 8);
        }
        for (const variant &way : variants) {
            if (suits(way)) {
                const std::size_t bytes = temporary_bytes(way);
                storage_bytes_ = bytes > storage_bytes_ ? bytes : storage_bytes_;
            }
        }
        storage_ = std::make_unique<device_memory>(storage_bytes_);
    }
    bool suits(const variant &way) const override {
        return !way.segmented &&
               (way.wide_count || n_ <= std::numeric_limits<std::uint32_t>::max());
    }
    void spoil() override {
        keys_.spoil();
        values_.spoil();
    }
    void prepare(const variant &way, cudaStream_t stream) override {
        if (way.double_buffer) {
            keys_.copy_in(stream);
            values_.copy_in(stream);
        }
    }
    void sort(const variant &way, cudaStream_t stream) override {
        call(way, storage_->template as<void>(), storage_bytes_, stream);
    }
    std::size_t temporary_bytes(const variant &way) override {
        std::size_t bytes = 0;
        call(way, nullptr, bytes, nullptr);
        return bytes;
    }
    void save(const std::string &folder) const override {
        keys_.save(folder + "/keys");
        values_.save(folder + "/values");
    }

private:
    static constexpr bool paired = !std::is_same_v<Value, cub::NullType>;

    // Sorts; without storage, tells how many bytes that takes.
    void call(const variant &way, void *storage, std::size_t &bytes, cudaStream_t stream) {
        if (way.wide_count) {
            call(way.double_buffer, storage, bytes, n_, stream);
        } else {
            call(way.double_buffer, storage, bytes, static_cast<std::uint32_t>(n_), stream);
        }
    }

    template <class Count>
    void call(bool double_buffer, void *storage, std::size_t &bytes, Count n,
              cudaStream_t stream) {
        const cudaError_t status = double_buffer ? within(storage, bytes, n, stream)
                                                 : apart(storage, bytes, n, stream);
        check(status, paired ? "DeviceRadixSort::SortPairs" : "DeviceRadixSort::SortKeys");
    }

    // From the input to the result.
    template <class Count>
    cudaError_t apart(void *storage, std::size_t &bytes, Count n, cudaStream_t stream) {
        keys_.result(keys_.output());
        if constexpr (paired) {
            values_.result(values_.output());
            return sort_pairs(by_.descending, storage, bytes, keys_.input(), keys_.output(),
                              values_.input(), values_.output(), n, by_.begin, by_.end, stream);
        } else {
            return sort_keys(by_.descending, storage, bytes, keys_.input(), keys_.output(), n,
                             by_.begin, by_.end, stream);
        }
    }

    // Within the double buffer.
    template <class Count>
    cudaError_t within(void *storage, std::size_t &bytes, Count n, cudaStream_t stream) {
        cudaError_t status;
        auto keys = keys_.buffers();
        if constexpr (paired) {
            auto values = values_.buffers();
            status = sort_pairs(by_.descending, storage, bytes, keys, values, n, by_.begin,
                                by_.end, stream);
            values_.result(values.Current());
        } else {
            status = sort_keys(by_.descending, storage, bytes, keys, n, by_.begin, by_.end, stream);
        }
        keys_.result(keys.Current());
        return status;
    }

    std::uint64_t n_;
    order by_;
    column<Key> keys_;
    column<Value> values_;
    std::size_t storage_bytes_ = 0;
    std::unique_ptr<device_memory> storage_;
};

// Keys in segments, alone or with values, from one offset in the folder's file to the next.
template <class Key, class Value> class segmented_job : public job {
public:
    segmented_job(const std::string &folder, std::uint64_t n, std::uint64_t offsets)
        : n_(n), segments_(offsets - 1), keys_(folder + "/keys", n),
          values_(folder + "/values", n), offsets_(offsets * sizeof(std::uint32_t)) {
        if (n > std::numeric_limits<int>::max() || segments_ > std::numeric_limits<int>::max()) {
            throw failure("segments of more keys than an int counts");
        }
        read_file(folder + "/offsets", offsets_.as<char>(), offsets * sizeof(std::uint32_t));
        for (const variant &way : variants) {
            if (suits(way)) {
                storage_bytes_ = std::max(storage_bytes_, temporary_bytes(way));
            }
        }
        storage_ = std::make_unique<device_memory>(storage_bytes_);
    }
    bool suits(const variant &way) const override { return way.segmented; }
    void spoil() override {
        keys_.spoil();
        values_.spoil();
    }
    void prepare(const variant &, cudaStream_t) override {}
    void sort(const variant &way, cudaStream_t stream) override {
        call(way, storage_->template as<void>(), storage_bytes_, stream);
    }
    std::size_t temporary_bytes(const variant &way) override {
        std::size_t bytes = 0;
        call(way, nullptr, bytes, nullptr);
        return bytes;
    }
    void save(const std::string &folder) const override {
        keys_.save(folder + "/keys");
        values_.save(folder + "/values");
    }

private:
    static constexpr bool paired = !std::is_same_v<Value, cub::NullType>;

    void call(const variant &way, void *storage, std::size_t &bytes, cudaStream_t stream) {
        if (&way == &segmented_radix_sort) {
            check(by_radix(storage, bytes, stream), "DeviceSegmentedRadixSort");
        } else {
            check(by_length(storage, bytes, stream), "DeviceSegmentedSort");
        }
    }

    cudaError_t by_radix(void *storage, std::size_t &bytes, cudaStream_t stream) {
        const int n = static_cast<int>(n_), segments = static_cast<int>(segments_);
        const int end = static_cast<int>(sizeof(Key) * 8);
        const auto *begins = offsets_.template as<const std::uint32_t>();
        if constexpr (paired) {
            return cub::DeviceSegmentedRadixSort::SortPairs(
                storage, bytes, keys_.input(), keys_.output(), values_.input(),
                values_.output(), n, segments, begins, begins + 1, 0, end, stream);
        } else {
            return cub::DeviceSegmentedRadixSort::SortKeys(storage, bytes, keys_.input(),
                                                           keys_.output(), n, segments, begins,
                                                           begins + 1, 0, end, stream);
        }
    }

    // By the algorithm for each segment's length; of pairs the stable one.
    cudaError_t by_length(void *storage, std::size_t &bytes, cudaStream_t stream) {
        const int n = static_cast<int>(n_), segments = static_cast<int>(segments_);
        const auto *begins = offsets_.template as<const std::uint32_t>();
        if constexpr (paired) {
            return cub::DeviceSegmentedSort::StableSortPairs(
                storage, bytes, keys_.input(), keys_.output(), values_.input(),
                values_.output(), n, segments, begins, begins + 1, stream);
        } else {
            return cub::DeviceSegmentedSort::SortKeys(storage, bytes, keys_.input(),
                                                      keys_.output(), n, segments, begins,
                                                      begins + 1, stream);
        }
    }

    std::uint64_t n_;
    std::uint64_t segments_;
    column<Key> keys_;
    column<Value> values_;
    device_memory offsets_;
    std::size_t storage_bytes_ = 0;
    std::unique_ptr<device_memory> storage_;
};

// Offsets in the folder: none where the input is one array.
std::uint64_t count_offsets(const std::string &folder) {
    std::ifstream file(folder + "/offsets", std::ios::binary | std::ios::ate);
    return file ? static_cast<std::uint64_t>(file.tellg()) / sizeof(std::uint32_t) : 0;
}

template <class Key, class Value = cub::NullType>
std::unique_ptr<job> make(const std::string &folder, std::uint64_t n, order by) {
    if (count_offsets(folder) != 0) {
        throw failure("segments of such keys");
    }
    return std::make_unique<radix_job<Key, Value>>(folder, n, by);
}

// The same, or a job of segments where the folder has offsets.
template <class Key, class Value = cub::NullType>
std::unique_ptr<job> make_any(const std::string &folder, std::uint64_t n, order by) {
    const std::uint64_t offsets = count_offsets(folder);
    if (offsets == 0) {
        return make<Key, Value>(folder, n, by);
    }
    if (by.descending || by.end != 0) {
        throw failure("segments in another order");
    }
    return std::make_unique<segmented_job<Key, Value>>(folder, n, offsets);
}

// The types that can be sorted. A type more is a line more.
const struct {
    const char *name;
    std::unique_ptr<job> (*load)(const std::string &folder, std::uint64_t n, order by);
} types[] = {
    {"u32", make_any<std::uint32_t>},
    {"i32", make_any<std::int32_t>},
    {"f32", make_any<float>},
    {"u64", make_any<std::uint64_t>},
    {"u32+u32", make_any<std::uint32_t, std::uint32_t>},
    {"u8", make<std::uint8_t>},
    {"u16", make<std::uint16_t>},
    {"f16", make<__half>},
#ifdef __SIZEOF_INT128__
    {"u128", make<__uint128_t>},
#endif
    {"u32+index", make<std::uint32_t, std::uint32_t>},
    {"f32+index", make<float, std::uint32_t>},
    {"u64+index", make<std::uint64_t, std::uint32_t>},
};

// The stream sorts run on and the events around them.
class clock_stream {
public:
    clock_stream() {
        check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
        check(cudaEventCreate(&start_), "creating an event");
        check(cudaEventCreate(&end_), "creating an event");
    }

    // Sorts `count` times in one way and returns the milliseconds each took.
    std::vector<float> run(job &work, const variant &way, unsigned count) {
        work.spoil();
        check(cudaDeviceSynchronize(), "overwriting the result");
        std::vector<float> times(count);
        for (float &time : times) {
            work.prepare(way, stream_);
            check(cudaStreamSynchronize(stream_), "preparing a sort");
            check(cudaEventRecord(start_, stream_), "recording an event");
            work.sort(way, stream_);
            check(cudaEventRecord(end_, stream_), "recording an event");
            check(cudaEventSynchronize(end_), "sorting");
            check(cudaEventElapsedTime(&time, start_, end_), "reading the time between events");
        }
        return times;
    }

private:
    cudaStream_t stream_ = nullptr;
    cudaEvent_t start_ = nullptr;
    cudaEvent_t end_ = nullptr;
};

std::string quoted(const std::string &text) {
    std::string json = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            json += '\\';
        }
        json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return json + '"';
}

std::string hello() {
    int device = 0;
    cudaDeviceProp properties{};
    check(cudaGetDevice(&device), "looking for a GPU");
    check(cudaGetDeviceProperties(&properties, device), "looking for a GPU");
    std::ostringstream json;
    json << "{\"protocol\":" << protocol << ",\"peer\":\"cub\",\"peer_version\":\""
         << CUB_MAJOR_VERSION << '.' << CUB_MINOR_VERSION << '.' << CUB_SUBMINOR_VERSION
         << "\",\"device\":" << quoted(properties.name) << ",\"orders\":[\"zeros-equal\"],\"types\":[";
    const char *separator = "";
    for (const auto &type : types) {
        json << separator << quoted(type.name);
        separator = ",";
    }
    json << "],\"sorts\":[\"descending\",\"bits\"],\"segments\":true}";
    return json.str();
}

// Reads what is left of a request as a folder: it may contain spaces.
std::string folder_of(std::istringstream &request) {
    std::string folder;
    std::getline(request >> std::ws, folder);
    if (folder.empty()) {
        throw failure("no folder given");
    }
    return folder;
}

// Reads the order behind a type's name: words with an @ before each.
order order_of(std::istringstream &words, const std::string &kind) {
    order by;
    for (std::string word; std::getline(words, word, '@');) {
        std::istringstream bits(word);
        char dots[2] = {};
        if (word == "descending") {
            by.descending = true;
        } else if (!(bits >> by.begin >> dots[0] >> dots[1] >> by.end) || dots[0] != '.' ||
                   dots[1] != '.' || by.begin >= by.end) {
            throw failure("unknown order `" + word + "` of `" + kind + "`");
        }
    }
    return by;
}

class server {
public:
    // The answer to one request.
    std::string answer(const std::string &line) {
        std::istringstream request(line);
        std::string verb;
        request >> verb;
        if (verb == "load") {
            return load(request);
        }
        if (verb == "run") {
            return run(request);
        }
        if (verb == "save") {
            loaded().save(folder_of(request));
            return "{\"saved\":true}";
        }
        throw failure("unknown request `" + line + "`");
    }

private:
    std::string load(std::istringstream &request) {
        std::string kind, type;
        std::uint64_t n = 0;
        if (!(request >> kind >> n)) {
            throw failure("load wants a type, a number of elements and a folder");
        }
        std::istringstream words(kind);
        std::getline(words, type, '@');
        const std::string folder = folder_of(request);
        job_.reset();
        for (const auto &known : types) {
            if (type == known.name) {
                job_ = known.load(folder, n, order_of(words, kind));
                return "{\"loaded\":" + std::to_string(n) + ",\"variants\":" + ways() + "}";
            }
        }
        throw failure("unknown type `" + type + "`");
    }

    // The variants that can sort what is loaded.
    std::string ways() const {
        std::string json;
        for (const variant &way : variants) {
            if (job_->suits(way)) {
                json += (json.empty() ? "[" : ",") + ("{\"name\":" + quoted(way.name)) +
                        ",\"temporary_bytes\":" + std::to_string(job_->temporary_bytes(way)) + "}";
            }
        }
        return json + "]";
    }

    std::string run(std::istringstream &request) {
        std::string name;
        unsigned count = 0;
        if (!(request >> name >> count)) {
            throw failure("run wants a variant and a number of sorts");
        }
        std::ostringstream json;
        json.precision(9);
        json << "{\"times_ms\":[";
        const char *separator = "";
        for (const float time : clock_.run(loaded(), way(name), count)) {
            json << separator << time;
            separator = ",";
        }
        json << "]}";
        return json.str();
    }

    const variant &way(const std::string &name) const {
        for (const variant &known : variants) {
            if (name == known.name && loaded().suits(known)) {
                return known;
            }
        }
        throw failure("no variant `" + name + "` of what is loaded");
    }

    job &loaded() const {
        if (!job_) {
            throw failure("nothing is loaded");
        }
        return *job_;
    }

    clock_stream clock_;
    std::unique_ptr<job> job_;
};

void say(const std::string &line) { std::cout << line << std::endl; }

} // namespace

int main() {
    std::unique_ptr<server> peer;
    try {
        const std::string greeting = hello();
        peer = std::make_unique<server>();
        say(greeting);
    } catch (const failure &reason) {
        say("{\"protocol\":" + std::to_string(protocol) + ",\"skipped\":" + quoted(reason.what()) +
            "}");
        return 0;
    }
    std::string line;
    while (std::getline(std::cin, line) && line != "quit") {
        try {
            say(peer->answer(line));
        } catch (const std::exception &reason) {
            say("{\"error\":" + quoted(reason.what()) + "}");
        }
    }
    return 0;
}
