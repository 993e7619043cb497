#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <stdexcept>

#include "bindings.hpp"
#include "siren.hpp"
#include "threads.hpp"

namespace neuralcodec {
namespace {

using Array3 = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

// Networks of many signals, checked against each other.
struct Networks {
    SirenShape shape;
    size_t signals;
    Array2<float> features, parameters;
    Array3 own;

    Networks(const std::vector<int32_t>& width, Array2<float> f, Array3 o, Array2<float> p)
        : signals(p.shape(0)), features(f), parameters(p), own(o) {
        for (int32_t w : width)
            if (w < 1 || w > 4096) throw std::invalid_argument("widths must be 1 to 4,096");
        if (width.size() < 2 || f.shape(0) > (size_t(1) << 30))
            throw std::invalid_argument("a layer is needed");
        shape = {width.data(), int32_t(width.size()) - 1, int32_t(f.shape(0)), int32_t(f.shape(1)),
                 int32_t(o.shape(2))};
        if (size_t(width[0]) != f.shape(1) + o.shape(2) || o.shape(0) != signals ||
            o.shape(1) != f.shape(0) || p.shape(1) != shape.parameters())
            throw std::invalid_argument("features, own inputs and parameters do not fit the widths");
    }

    size_t rows() const { return size_t(shape.points); }

    template <class Make>
    void run(size_t threads, Make make) const {
        const SirenKernels& kernels = siren_kernels();
        const size_t floats = kernels.scratch_floats(shape);
        threads = std::max<size_t>(1, std::min(threads, signals));
        std::unique_ptr<float[]> scratch(new float[floats * threads]);
        nb::gil_scoped_release release;
        run_jobs(signals, threads, false, [&](size_t s, size_t worker) {
            const SirenSignal base{own.data() + s * rows() * size_t(shape.own),
                                   parameters.data() + s * shape.parameters(),
                                   nullptr,
                                   nullptr,
                                   nullptr,
                                   nullptr};
            make(s, base, [&](const SirenSignal& signal) {
                return kernels.run(shape, features.data(), signal, scratch.get() + worker * floats);
            });
        });
    }
};

nb::object outputs(const std::vector<int32_t>& width, Array2<float> features, Array3 own,
                   Array2<float> parameters, size_t threads) {
    const Networks n(width, features, own, parameters);
    const size_t size = n.rows() * size_t(n.shape.outputs());
    std::unique_ptr<float[]> out(new float[n.signals * size]);
    n.run(threads, [&](size_t s, SirenSignal signal, auto run) {
        signal.out = out.get() + s * size;
        run(signal);
    });
    return new_array(out.release(), {n.signals, n.rows(), size_t(n.shape.outputs())});
}

nb::tuple gradient(const std::vector<int32_t>& width, Array2<float> features, Array3 own,
                   Array2<float> parameters, Array3 target, size_t threads) {
    const Networks n(width, features, own, parameters);
    const size_t size = n.rows() * size_t(n.shape.outputs()), count = n.shape.parameters();
    const size_t inputs = n.rows() * size_t(n.shape.own);
    if (target.shape(0) != n.signals || target.shape(1) != n.rows() ||
        target.shape(2) != size_t(n.shape.outputs()))
        throw std::invalid_argument("the target does not fit the outputs");
    std::unique_ptr<float[]> error(new float[n.signals]), own_gradient(new float[n.signals * inputs]),
        parameter_gradient(new float[n.signals * count]);
    n.run(threads, [&](size_t s, SirenSignal signal, auto run) {
        signal.target = target.data() + s * size;
        signal.parameter_gradient = parameter_gradient.get() + s * count;
        signal.own_gradient = own_gradient.get() + s * inputs;
        error[s] = float(run(signal));
    });
    return nb::make_tuple(new_array(error.release(), {n.signals}),
                          new_array(own_gradient.release(), {n.signals, n.rows(), size_t(n.shape.own)}),
                          new_array(parameter_gradient.release(), {n.signals, count}));
}

}  // namespace

void bind_siren(nb::module_& m) {
    using namespace nb::literals;
    m.def("siren_outputs", &outputs, "width"_a, "features"_a, "own"_a, "parameters"_a, "threads"_a);
    m.def("siren_gradient", &gradient, "width"_a, "features"_a, "own"_a, "parameters"_a, "target"_a,
          "threads"_a);
}

}  // namespace neuralcodec
