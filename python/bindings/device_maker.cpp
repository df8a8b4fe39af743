#include "device_maker.hpp"

#include "batch_stream.hpp"
#include "negpipe/error.hpp"

namespace negpipe::python {

column_type made_type(const column& wanted) {
  switch (wanted.type) {
    case column_type::boolean:
    case column_type::int8:
    case column_type::uint16:
    case column_type::int32: return wanted.type;
    case column_type::float32: return column_type::int8;
    case column_type::int64: return wanted.name == "labels" ? column_type::int8 : column_type::int32;
  }
  throw option_error("`" + wanted.name + "`: unknown type");
}

namespace {

/// Columns as kernels make them. all: or only those that are converted afterwards.
std::vector<column> made_columns_of(const std::vector<column>& wanted, bool all) {
  std::vector<column> made;
  for (const column& one : wanted) {
    if (all || made_type(one) != one.type) made.push_back({one.name, made_type(one), one.shape});
  }
  return made;
}

std::vector<void*> addresses_in(const std::vector<column>& columns, std::byte* memory) {
  std::vector<void*> addresses;
  const std::vector<std::size_t> offsets = column_offsets(columns);
  for (std::size_t i = 0; i < columns.size(); ++i) addresses.push_back(memory + offsets[i]);
  return addresses;
}

template <typename T>
std::span<T> values_at(void* address, std::size_t count) {
  return {static_cast<T*>(address), count};
}

/// Queues a copy or conversion of a column of so many batches. made: in the type that kernels make.
void convert(const column& wanted, void* made, void* target, int device, device_stream stream,
             std::uint64_t batches = 1) {
  const std::size_t count = wanted.count() * batches;
  if (made_type(wanted) == wanted.type) {
    const std::size_t bytes = wanted.bytes() * batches;
    copy_async(values_at<const std::byte>(made, bytes), values_at<std::byte>(target, bytes), device, stream);
  } else if (wanted.type == column_type::float32) {
    convert_async(values_at<const std::int8_t>(made, count), values_at<float>(target, count), device, stream);
  } else if (wanted.name == "labels") {
    convert_async(values_at<const std::int8_t>(made, count), values_at<std::int64_t>(target, count), device, stream);
  } else {
    convert_async(values_at<const std::int32_t>(made, count), values_at<std::int64_t>(target, count), device, stream);
  }
}

item_column items_at(const column& wanted, void* address, std::uint64_t batches = 1) {
  const item_type width = made_type(wanted) == column_type::uint16 ? item_type::uint16 : item_type::int32;
  return item_column(address, width, wanted.count() * batches);
}

std::span<std::int8_t> valid_of(const std::vector<column>& columns, std::span<void* const> made,
                                std::uint64_t batches) {
  if (columns.size() <= 3) return {};
  return values_at<std::int8_t>(made[3], columns[3].count() * batches);
}

training_columns training_columns_at(const std::vector<column>& columns, std::span<void* const> made,
                                     std::uint64_t batches = 1) {
  return {values_at<std::int32_t>(made[0], columns[0].count() * batches), items_at(columns[1], made[1], batches),
          values_at<std::int8_t>(made[2], columns[2].count() * batches), valid_of(columns, made, batches)};
}

std::uint64_t part_of(const sampler& source, std::uint64_t world_size) {
  return source.plan().batch_size / world_size;
}

class device_training_maker final : public device_maker {
 public:
  /// like: the maker on the CPU, which has checked the options.
  device_training_maker(const sampler& source, const batch_maker& like, std::uint64_t rank, std::uint64_t world_size,
                        int device)
      : device_maker(device, like.batch_count(), like.columns()),
        source_(source, {.device = device}),
        part_(part_of(source, world_size)),
        offset_(rank * part_) {}

  /// Batches of all ranks lie one after the other, but for the first and the last of resample padding.
  std::uint64_t run_length(std::uint64_t batch, std::uint64_t limit) const override {
    const training_plan& plan = source_.plan();
    if (part_ != plan.batch_size) return 1;
    std::uint64_t length = 1;
    while (length < limit &&
           plan.first_position(batch + length) == plan.first_position(batch) + length * plan.batch_size) {
      ++length;
    }
    return length;
  }

  void make_run(std::uint32_t epoch, std::uint64_t batch, std::uint64_t count, std::span<void* const> made, std::byte*,
                device_stream stream) const override {
    const std::uint64_t first = source_.plan().first_position(batch) + offset_;
    const std::uint64_t rows = count * part_;
    if (source_.plan().layout == batch_layout::pairwise) {
      source_.fill_rows(epoch, first, rows,
                        {values_at<std::int32_t>(made[0], rows), items_at(columns()[1], made[1], count),
                         items_at(columns()[2], made[2], count), valid_of(columns(), made, count)},
                        stream);
    } else {
      source_.fill_points(epoch, first, rows, training_columns_at(columns(), made, count), stream);
    }
  }

 private:
  device_sampler source_;
  std::uint64_t part_;
  std::uint64_t offset_;
};

/// Makes the rows of a sampler, whatever split they are of. device_sampler knows test items only, so that validation
/// rows are those of the dataset that evaluation_rows() returns.
device_sampler evaluation_source(const sampler& source, int device) {
  sampler_options options = source.options();
  const dataset rows = evaluation_rows(source.data(), *options.evaluation);
  options.evaluation->set = heldout_set::test;
  options.negatives = 0;  // of training, which is not asked for
  return device_sampler(rows, options, {.device = device});
}

class device_evaluation_maker final : public device_maker {
 public:
  device_evaluation_maker(device_sampler source, std::vector<column> columns, std::uint64_t rank, int device)
      : device_maker(device, source.evaluation_batch_count(), std::move(columns), source.evaluation_workspace_bytes()),
        source_(std::move(source)),
        rows_(this->columns().front().shape[0]),
        rows_per_batch_(source_.evaluation_plan()->batch_size / source_.evaluation_plan()->row_length()),
        offset_(rank * rows_),
        workspace_bytes_(source_.evaluation_workspace_bytes()) {}

  void make_run(std::uint32_t, std::uint64_t batch, std::uint64_t, std::span<void* const> made, std::byte* workspace,
                device_stream stream) const override {
    const std::size_t count = columns().front().count();
    source_.fill_evaluation_rows(batch * rows_per_batch_ + offset_, rows_,
                                 {values_at<std::int32_t>(made[0], count), items_at(columns()[1], made[1]),
                                  values_at<std::int8_t>(made[2], count)},
                                 {workspace, workspace_bytes_}, stream);
  }

 private:
  device_sampler source_;
  std::uint64_t rows_;
  std::uint64_t rows_per_batch_;
  std::uint64_t offset_;
  std::size_t workspace_bytes_;
};

}  // namespace

device_maker::device_maker(int device, std::uint64_t batch_count, std::vector<column> columns, std::size_t extra_bytes)
    : device_(device),
      batch_count_(batch_count),
      columns_(std::move(columns)),
      extra_bytes_((extra_bytes + 255) / 256 * 256),
      converted_bytes_(block_bytes(made_columns_of(columns_, false))),
      converted_at_(columns_.size(), -1) {
  const std::vector<std::size_t> offsets = column_offsets(made_columns_of(columns_, false));
  std::size_t next = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (made_type(columns_[i]) != columns_[i].type) converted_at_[i] = static_cast<std::ptrdiff_t>(offsets[next++]);
  }
}

void device_maker::make(std::uint32_t epoch, std::uint64_t first, std::span<void* const> targets, std::byte* scratch,
                        device_stream stream, std::uint64_t count, std::uint64_t step) const {
  std::vector<void*> wanted(targets.begin(), targets.end());
  std::vector<void*> made(wanted.size());
  for (std::uint64_t done = 0; done < count;) {
    const std::uint64_t batch = first + done * step;
    const std::uint64_t run = step == 1 ? run_length(batch, count - done) : 1;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      // The workspace comes first: it must be aligned to the memory. Later runs use the same scratch memory, in the
      // order of the stream.
      made[i] = converted_at_[i] < 0 ? wanted[i]
                                     : scratch + extra_bytes_ + static_cast<std::uint64_t>(converted_at_[i]) * run;
    }
    make_run(epoch, batch, run, made, scratch, stream);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (converted_at_[i] >= 0) convert(columns_[i], made[i], wanted[i], device_, stream, run);
      wanted[i] = static_cast<std::byte*>(wanted[i]) + columns_[i].bytes() * run;
    }
    done += run;
  }
}

std::shared_ptr<const device_maker> make_device_training_maker(const sampler& source, const output_types& types,
                                                               std::uint64_t rank, std::uint64_t world_size,
                                                               int device) {
  const auto like = make_training_maker(source, types, rank, world_size);
  return std::make_shared<device_training_maker>(source, *like, rank, world_size, device);
}

std::shared_ptr<const device_maker> make_device_evaluation_maker(const sampler& source, const output_types& types,
                                                                 std::uint64_t rank, std::uint64_t world_size,
                                                                 int device) {
  std::vector<column> columns = make_evaluation_maker(source, types, 0, 1)->columns();
  for (column& one : columns) one.shape[0] /= world_size;
  return std::make_shared<device_evaluation_maker>(evaluation_source(source, device), std::move(columns), rank, device);
}

replay_maker::replay_maker(const sampler& source, const output_types& types, std::uint64_t rank,
                           std::uint64_t world_size, int device, batch_cursor begin)
    : device_(device),
      first_(rank * part_of(source, world_size)),
      columns_(make_training_maker(source, types, rank, world_size)->columns()),
      whole_(made_columns_of(make_training_maker(source, types, 0, 1)->columns(), true)),
      source_(source, {.device = device}),
      replay_(source_.make_replay(begin)) {}

std::size_t replay_maker::scratch_bytes() const { return block_bytes(whole_); }

void replay_maker::make_next(std::span<void* const> targets, std::byte* scratch, device_stream stream) const {
  std::vector<void*> made = addresses_in(whole_, scratch);
  const bool is_whole = columns_.front().count() == whole_.front().count();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (is_whole && columns_[i].type == whole_[i].type) made[i] = targets[i];
  }
  replay_.fill_next(training_columns_at(whole_, made), stream);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (made[i] == targets[i]) continue;
    convert(columns_[i], static_cast<std::byte*>(made[i]) + first_ * bytes_of(whole_[i].type), targets[i], device_,
            stream);
  }
}

}  // namespace negpipe::python
