// SPDX-License-Identifier: Apache-2.0
#include "node/app_stream.hpp"

#include <algorithm>
#include <utility>

namespace dig::node {

void AppStream::read(std::size_t max_bytes) {
  if (is_reading_ || max_bytes == 0) {
    sink_.put(AppRead{
        connection_, stream_, fail(Errc::invalid_argument, "one read of at least a byte at a time"), {}, false});
    return;
  }
  is_reading_ = true;
  if (has_stopped_) {
    answer_read(fail(Errc::stream_closed), false);
  } else if (has_end_) {
    answer_read({}, true);
  } else {
    incoming_.resize(std::min(max_bytes, max_read));
  }
}

void AppStream::write(Bytes bytes) {
  if (is_writing_ || wants_finish_) {
    sink_.put(AppWritten{connection_, stream_, fail(wants_finish_ ? Errc::stream_closed : Errc::invalid_argument)});
    return;
  }
  is_writing_ = true;
  outgoing_ = std::move(bytes);
  outgoing_sent_ = 0;
  if (outgoing_.empty()) answer_write({});
}

void AppStream::stop_reading() {
  has_stopped_ = true;
  incoming_.clear();
  if (is_reading_) answer_read(fail(Errc::stream_closed), false);
}

void AppStream::handle_opened(StreamId stream) {
  stream_ = stream;
  sink_.add_app_stream(*this);
}

void AppStream::handle_negotiated(Instant /*now*/) {
  is_opening_ = false;
  sink_.put(AppStreamOpened{opening_, connection_, peer_, stream_});
}

MutableBytes AppStream::receive_space() { return is_reading_ ? MutableBytes(incoming_) : MutableBytes(); }

void AppStream::handle_received(Instant /*now*/, std::size_t size) {
  incoming_.resize(size);
  answer_read({}, false);
}

void AppStream::handle_eof(Instant /*now*/) {
  has_end_ = true;
  incoming_.clear();
  if (is_reading_) answer_read({}, true);
}

BytesView AppStream::output(Instant /*now*/) { return BytesView(outgoing_).subspan(outgoing_sent_); }

void AppStream::handle_written(Instant /*now*/, std::size_t size) {
  outgoing_sent_ += size;
  if (outgoing_sent_ == outgoing_.size()) answer_write({});
}

bool AppStream::handle_rest(BytesView bytes, bool is_end) {
  if (has_stopped_ || has_told_end_) return false;
  append(rest_, bytes);
  has_end_ = has_end_ || is_end;
  return true;
}

void AppStream::handle_closed(Instant /*now*/, const Error& why) {
  const bool was_never_open = is_opening_ && !is_inbound();
  if (was_never_open) sink_.put(AppStreamOpened{opening_, connection_, peer_, std::unexpected(why)});
  is_opening_ = false;
  if (is_reading_) {
    incoming_.clear();
    answer_read(std::unexpected(why), false);
  } else if (!was_never_open && !has_stopped_ && !has_told_end_) {
    sink_.keep_rest(*this, {std::move(rest_), 0, has_end_, why});
  }
  if (is_writing_) answer_write(std::unexpected(why));
}

void AppStream::answer_read(Result<void> result, bool is_end) {
  is_reading_ = false;
  has_told_end_ = has_told_end_ || is_end;
  sink_.put(AppRead{connection_, stream_, std::move(result), std::exchange(incoming_, {}), is_end});
}

void AppStream::answer_write(Result<void> result) {
  is_writing_ = false;
  outgoing_.clear();
  outgoing_sent_ = 0;
  sink_.put(AppWritten{connection_, stream_, std::move(result)});
}

}  // namespace dig::node
