// cub::DeviceRadixSort as a peer: answers requests, one a line on standard input, with
// JSON objects, one a line on standard output. docs/PEERS.md has the protocol.
//
// The sort is called as its documentation shows it: out of place, const input, plain
// pointers, temporary storage asked for and allocated beforehand. The clock is a pair of
// events on the sort's own stream around that one call, on a stream that is idle when the
// first is recorded; so what a caller waits for is counted, launches included.

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include <cub/device/device_radix_sort.cuh>
#include <cub/version.cuh>

namespace {

// Version of the protocol, not of the peer.
constexpr int protocol = 1;

// Bytes moved between a file and the device at a time.
constexpr std::size_t chunk_bytes = std::size_t{64} << 20;

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

void read_file(const std::string &path, char *to, std::size_t bytes) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> chunk(bytes < chunk_bytes ? bytes : chunk_bytes);
    for (std::size_t done = 0; done < bytes; done += chunk.size()) {
        chunk.resize(bytes - done < chunk_bytes ? bytes - done : chunk_bytes);
        if (!file.read(chunk.data(), static_cast<std::streamsize>(chunk.size()))) {
            throw failure("cannot read " + std::to_string(bytes) + " bytes of " + path);
        }
        check(cudaMemcpy(to + done, chunk.data(), chunk.size(), cudaMemcpyHostToDevice),
              "copying to the GPU");
    }
}

void write_file(const std::string &path, const char *from, std::size_t bytes) {
    std::ofstream file(path, std::ios::binary);
    std::vector<char> chunk(bytes < chunk_bytes ? bytes : chunk_bytes);
    for (std::size_t done = 0; done < bytes; done += chunk.size()) {
        chunk.resize(bytes - done < chunk_bytes ? bytes - done : chunk_bytes);
        check(cudaMemcpy(chunk.data(), from + done, chunk.size(), cudaMemcpyDeviceToHost),
              "copying from the GPU");
        file.write(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    }
    if (!file.flush()) {
        throw failure("cannot write " + path);
    }
}

// A loaded input and where its sorted form goes.
class job {
public:
    virtual ~job() = default;
    // Overwrites the result, so that nothing of an earlier sort passes for one.
    virtual void spoil() = 0;
    // Queues one sort.
    virtual void sort(cudaStream_t stream) = 0;
    // Bytes of temporary storage that a sort is given.
    virtual std::size_t temporary_bytes() const = 0;
    // Writes the result to files in a folder.
    virtual void save(const std::string &folder) const = 0;
};

// One array in a file of the folder, and the array it is sorted into.
template <class T> class column {
public:
    column(const std::string &path, std::uint32_t n)
        : bytes_(std::size_t{n} * sizeof(T)), input_(bytes_), output_(bytes_) {
        read_file(path, input_.template as<char>(), bytes_);
    }
    const T *input() const { return input_.template as<const T>(); }
    T *output() const { return output_.template as<T>(); }
    void spoil() const { check(cudaMemset(output(), 0xA5, bytes_), "overwriting the result"); }
    void save(const std::string &path) const {
        write_file(path, output_.template as<const char>(), bytes_);
    }

private:
    std::size_t bytes_;
    device_memory input_;
    device_memory output_;
};

template <class Key> class keys_job : public job {
public:
    keys_job(const std::string &folder, std::uint32_t n) : n_(n), keys_(folder + "/keys", n) {
        call(nullptr, nullptr);
        storage_ = std::make_unique<device_memory>(storage_bytes_);
    }
    void spoil() override { keys_.spoil(); }
    void sort(cudaStream_t stream) override { call(storage_->template as<void>(), stream); }
    std::size_t temporary_bytes() const override { return storage_bytes_; }
    void save(const std::string &folder) const override { keys_.save(folder + "/keys"); }

private:
    void call(void *storage, cudaStream_t stream) {
        check(cub::DeviceRadixSort::SortKeys(storage, storage_bytes_, keys_.input(),
                                             keys_.output(), n_, 0, int{sizeof(Key) * 8}, stream),
              "DeviceRadixSort::SortKeys");
    }

    std::uint32_t n_;
    column<Key> keys_;
    std::size_t storage_bytes_ = 0;
    std::unique_ptr<device_memory> storage_;
};

template <class Key, class Value> class pairs_job : public job {
public:
    pairs_job(const std::string &folder, std::uint32_t n)
        : n_(n), keys_(folder + "/keys", n), values_(folder + "/values", n) {
        call(nullptr, nullptr);
        storage_ = std::make_unique<device_memory>(storage_bytes_);
    }
    void spoil() override {
        keys_.spoil();
        values_.spoil();
    }
    void sort(cudaStream_t stream) override { call(storage_->template as<void>(), stream); }
    std::size_t temporary_bytes() const override { return storage_bytes_; }
    void save(const std::string &folder) const override {
        keys_.save(folder + "/keys");
        values_.save(folder + "/values");
    }

private:
    void call(void *storage, cudaStream_t stream) {
        check(cub::DeviceRadixSort::SortPairs(storage, storage_bytes_, keys_.input(),
                                              keys_.output(), values_.input(), values_.output(),
                                              n_, 0, int{sizeof(Key) * 8}, stream),
              "DeviceRadixSort::SortPairs");
    }

    std::uint32_t n_;
    column<Key> keys_;
    column<Value> values_;
    std::size_t storage_bytes_ = 0;
    std::unique_ptr<device_memory> storage_;
};

template <class Job> std::unique_ptr<job> make(const std::string &folder, std::uint32_t n) {
    return std::make_unique<Job>(folder, n);
}

// What can be sorted. A type more is a line more.
const struct {
    const char *name;
    std::unique_ptr<job> (*load)(const std::string &folder, std::uint32_t n);
} types[] = {
    {"u32", make<keys_job<std::uint32_t>>},
    {"i32", make<keys_job<std::int32_t>>},
    {"f32", make<keys_job<float>>},
    {"u64", make<keys_job<std::uint64_t>>},
    {"u32+u32", make<pairs_job<std::uint32_t, std::uint32_t>>},
};

// The stream sorts run on and the events around them.
class clock_stream {
public:
    clock_stream() {
        check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
        check(cudaEventCreate(&start_), "creating an event");
        check(cudaEventCreate(&end_), "creating an event");
    }

    // Sorts `count` times and returns the milliseconds each took.
    std::vector<float> run(job &work, unsigned count) {
        work.spoil();
        check(cudaDeviceSynchronize(), "overwriting the result");
        std::vector<float> times(count);
        for (float &time : times) {
            check(cudaEventRecord(start_, stream_), "recording an event");
            work.sort(stream_);
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
    json << "]}";
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
        std::string type;
        std::uint64_t n = 0;
        if (!(request >> type >> n)) {
            throw failure("load wants a type, a number of elements and a folder");
        }
        if (n > std::numeric_limits<std::uint32_t>::max()) {
            throw failure(std::to_string(n) + " elements are more than 32 bits count");
        }
        const std::string folder = folder_of(request);
        job_.reset();
        for (const auto &known : types) {
            if (type == known.name) {
                job_ = known.load(folder, static_cast<std::uint32_t>(n));
                return "{\"loaded\":" + std::to_string(n) + ",\"temporary_bytes\":" +
                       std::to_string(job_->temporary_bytes()) + "}";
            }
        }
        throw failure("unknown type `" + type + "`");
    }

    std::string run(std::istringstream &request) {
        unsigned count = 0;
        if (!(request >> count)) {
            throw failure("run wants a number of sorts");
        }
        std::ostringstream json;
        json.precision(9);
        json << "{\"times_ms\":[";
        const char *separator = "";
        for (const float time : clock_.run(loaded(), count)) {
            json << separator << time;
            separator = ",";
        }
        json << "]}";
        return json.str();
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
