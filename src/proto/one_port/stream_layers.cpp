// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/stream_layers.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace dig::one_port {

static_assert(StreamMachine<StreamLayers>);

namespace {

constexpr std::size_t k_piece = std::size_t{16} * 1024;  // what a record of TLS holds

Result<ReadResult> read_from(auto& layer, MutableBytes out) {
  DIG_TRY(const auto got, layer.read(out));
  return ReadResult{got.size, got.is_end};
}

}  // namespace

void StreamLayers::add(Instant now, crypto::TlsSession session) { add_layer(now, std::move(session)); }
void StreamLayers::add(Instant now, websocket::Session session) { add_layer(now, std::move(session)); }

void StreamLayers::add_layer(Instant now, Layer layer) {
  layers_.push_back(std::move(layer));
  seams_.emplace_back();
  tells_opened_ = tells_readable_ = tells_writable_ = false;  // of the layer that was on top
  std::visit([&](auto& top) { top.handle_bytes(now, given_back_.view()); }, layers_.back());
  given_back_.clear();
  pump(now);
}

// --- between the layers ---------------------------------------------------------------------------------------------

void StreamLayers::pump(Instant now) {
  for (std::size_t i = 0; i < seams_.size(); ++i) carry_up(now, i);
  for (std::size_t i = seams_.size(); i-- > 0;) carry_down(now, i);
  take_events();
}

void StreamLayers::carry_up(Instant now, std::size_t lower) {
  const auto carry = [&](auto& from, auto& to) {
    std::array<std::byte, k_piece> piece;
    while (to.wants_bytes()) {
      const auto got = read_from(from, piece);
      if (got && got->size > 0) {
        to.handle_bytes(now, BytesView(piece).first(got->size));
        continue;
      }
      const bool is_end = !got || got->is_end;
      if (is_end && !std::exchange(seams_[lower].is_ended, true)) to.handle_eof(now);
      return;
    }
  };
  std::visit(carry, layers_[lower], layers_[lower + 1]);
}

void StreamLayers::carry_down(Instant now, std::size_t lower) {
  Seam& seam = seams_[lower];
  const auto carry = [&](auto& to, auto& from) {
    std::array<std::byte, k_piece> piece;
    for (;;) {
      const bool is_waiting = !seam.downwards.empty();
      const BytesView bytes =
          is_waiting ? BytesView(seam.downwards) : BytesView(piece).first(from.poll_bytes(now, piece));
      if (bytes.empty()) break;
      // Nobody is there any more for whom a closed layer would take bytes.
      const std::size_t taken = to.write(bytes).value_or(bytes.size());
      seam.downwards = to_bytes(bytes.subspan(taken));
      if (!seam.downwards.empty()) return;
    }
    if constexpr (requires { from.snapshot().is_closed; }) {
      if (from.snapshot().is_closed && !std::exchange(seam.is_finished, true)) to.close();
    }
  };
  std::visit(carry, layers_[lower], layers_[lower + 1]);
}

void StreamLayers::take_events() {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    std::visit(
        [&](auto& layer) {
          while (const auto event = layer.poll_event()) take_event(i, *event);
        },
        layers_[i]);
  }
}

void StreamLayers::take_event(std::size_t index, const PlainStream::Event& event) {
  if (const auto* closed = std::get_if<Closed>(&event)) return note_closed(index, closed->error, closed->is_clean);
  if (!is_top(index)) return;
  tells_readable_ |= std::holds_alternative<Readable>(event);
  tells_writable_ |= std::holds_alternative<Writable>(event);
}

void StreamLayers::take_event(std::size_t index, const crypto::TlsEvent& event) {
  if (const auto* closed = std::get_if<crypto::TlsClosed>(&event)) {
    return note_closed(index, closed->error, closed->is_clean);
  }
  if (const auto* established = std::get_if<crypto::TlsEstablished>(&event)) tls_ = *established;
  if (!is_top(index)) return;
  tells_opened_ |= std::holds_alternative<crypto::TlsEstablished>(event);
  tells_readable_ |= std::holds_alternative<crypto::TlsReadable>(event);
  tells_writable_ |= std::holds_alternative<crypto::TlsWritable>(event);
}

void StreamLayers::take_event(std::size_t index, const websocket::SessionEvent& event) {
  if (const auto* closed = std::get_if<websocket::Closed>(&event)) {
    return note_closed(index, closed->error, closed->is_clean);
  }
  if (!is_top(index)) return;
  tells_opened_ |= std::holds_alternative<websocket::Established>(event);
  tells_readable_ |= std::holds_alternative<websocket::Readable>(event);
  tells_writable_ |= std::holds_alternative<websocket::Writable>(event);
}

void StreamLayers::note_closed(std::size_t index, const Error& error, bool is_clean) {
  if (!is_top(index)) {
    if (!is_clean && !failure_) failure_ = error;
  } else if (!is_clean && failure_) {
    closed_ = Closed{*failure_, false};
  } else {
    closed_ = Closed{error, is_clean};
  }
}

// --- the side of the transport --------------------------------------------------------------------------------------

void StreamLayers::handle_bytes(Instant now, BytesView bytes) {
  std::get<PlainStream>(layers_.front()).handle_bytes(now, bytes);
  pump(now);
}

void StreamLayers::handle_eof(Instant now) {
  std::get<PlainStream>(layers_.front()).handle_eof(now);
  pump(now);
}

void StreamLayers::handle_timeout(Instant now) {
  for (Layer& layer : layers_) std::visit([&](auto& each) { each.handle_timeout(now); }, layer);
  pump(now);
}

std::size_t StreamLayers::poll_bytes(Instant now, MutableBytes out) {
  std::size_t used = 0;
  while (used < out.size()) {
    for (std::size_t i = seams_.size(); i-- > 0;) carry_down(now, i);
    const std::size_t size = std::get<PlainStream>(layers_.front()).poll_bytes(now, out.subspan(used));
    if (size == 0) break;
    used += size;
  }
  pump(now);  // what had no room before may have it now
  return used;
}

bool StreamLayers::wants_bytes() const { return std::get<PlainStream>(layers_.front()).wants_bytes(); }

std::optional<Instant> StreamLayers::next_timeout() const {
  std::optional<Instant> next;
  for (const Layer& layer : layers_) {
    next = earliest(next, std::visit([](const auto& each) { return each.next_timeout(); }, layer));
  }
  return next;
}

// --- the side of the owner ------------------------------------------------------------------------------------------

std::optional<StreamLayers::Event> StreamLayers::poll_event() {
  if (std::exchange(tells_opened_, false)) return Opened{};
  if (std::exchange(tells_readable_, false)) return Readable{};
  if (std::exchange(tells_writable_, false)) return Writable{};
  if (!closed_) return std::nullopt;
  return *std::exchange(closed_, std::nullopt);
}

Result<std::size_t> StreamLayers::write(BytesView bytes) {
  return std::visit([&](auto& top) { return top.write(bytes); }, layers_.back());
}

Result<ReadResult> StreamLayers::read(Instant now, MutableBytes out) {
  const std::size_t size = given_back_.pop(out);
  if (size == out.size()) return ReadResult{size, false};
  auto got = std::visit([&](auto& top) { return read_from(top, out.subspan(size)); }, layers_.back());
  pump(now);  // there is room now
  if (got) got->size += size;
  if (!got && size > 0) return ReadResult{size, false};
  return got;
}

void StreamLayers::unread(BytesView bytes) {
  Bytes all = to_bytes(bytes);
  append(all, given_back_.view());
  given_back_.clear();
  given_back_.append(all);
}

void StreamLayers::close(Instant now) {
  given_back_.clear();
  std::visit([](auto& top) { top.close(); }, layers_.back());
  pump(now);
}

}  // namespace dig::one_port
