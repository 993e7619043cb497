// Runs independent jobs on a few threads; the first exception is thrown again in the caller.
#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace neuralcodec {

// job(index, worker). With `fixed`, worker w takes the indices w, w + threads, ...: the same sums for the
// same count.
template <class Job>
void run_jobs(size_t count, size_t threads, bool fixed, Job job) {
    threads = threads < 1 ? 1 : threads > count ? (count ? count : 1) : threads;
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex guard;
    auto work = [&](size_t worker) {
        try {
            if (fixed) {
                for (size_t i = worker; i < count; i += threads) job(i, worker);
            } else {
                for (size_t i; (i = next.fetch_add(1)) < count;) job(i, worker);
            }
        } catch (...) {
            const std::lock_guard<std::mutex> lock(guard);
            failure = std::current_exception();
            next = count;
        }
    };
    std::vector<std::thread> others;
    try {
        for (size_t w = 1; w < threads; ++w) others.emplace_back(work, w);
    } catch (...) {  // no more threads to be had: those there are take all jobs, unless each has its own
        if (fixed) next = count, failure = std::current_exception();
    }
    work(0);
    for (std::thread& t : others) t.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace neuralcodec
