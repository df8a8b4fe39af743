#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include "fill_job.hpp"
#include "thrust_policy.hpp"

namespace negpipe::cuda {

template <typename Cursor>
void fill_general_async(const point_writer<Cursor>& writer, std::uint64_t count, cudaStream_t stream) {
  with_thrust("fill_general", [&] {
    thrust::for_each_n(thrust::cuda::par_nosync.on(stream), thrust::counting_iterator<std::uint64_t>(0), count,
                       writer);
  });
}

template void fill_general_async(const point_writer<fixed_cursor>&, std::uint64_t, cudaStream_t);
template void fill_general_async(const point_writer<replayed_cursor>&, std::uint64_t, cudaStream_t);

}  // namespace negpipe::cuda
