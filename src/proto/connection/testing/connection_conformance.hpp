// SPDX-License-Identifier: Apache-2.0
// Test-only: the contract of connection.hpp as tests that every kind of connection passes unchanged (design §3).
// A kind takes part with a ConnectionPair and, in its _test.cpp, one line at namespace scope:
//   [[maybe_unused]] const bool k_registered = register_conformance("YamuxConformance", make_yamux_pair);
#pragma once

#include <array>
#include <memory>

#include "proto/connection/testing/connection_cases.hpp"
#include "proto/connection/testing/connection_pair.hpp"
#include "proto/connection/testing/stream_cases.hpp"

namespace dig::testing {

struct ConformanceCase {
  const char* name;
  void (*run)(Conformance&);
  bool starts_established;
};

inline constexpr auto k_conformance_cases = std::to_array<ConformanceCase>({
    {"opened_stream_reaches_the_peer", opened_stream_reaches_the_peer, true},
    {"an_open_that_need_not_wait_gives_no_event", an_open_that_need_not_wait_gives_no_event, true},
    {"both_sides_may_open", both_sides_may_open, true},
    {"data_arrives_in_order", data_arrives_in_order, true},
    {"empty_write_takes_nothing_and_sends_nothing", empty_write_takes_nothing_and_sends_nothing, true},
    {"read_of_nothing_says_wait", read_of_nothing_says_wait, true},
    {"read_into_nothing_loses_nothing", read_into_nothing_loses_nothing, true},
    {"small_reads_get_everything", small_reads_get_everything, true},
    {"end_comes_after_the_data", end_comes_after_the_data, true},
    {"end_without_data", end_without_data, true},
    {"a_stream_may_be_finished_before_anything_was_written", a_stream_may_be_finished_before_anything_was_written,
     true},
    {"end_can_be_read_again_while_the_stream_lives", end_can_be_read_again_while_the_stream_lives, true},
    {"halves_are_independent", halves_are_independent, true},
    {"write_after_finish_fails", write_after_finish_fails, true},
    {"finish_twice_is_harmless", finish_twice_is_harmless, true},
    {"a_stream_done_both_ways_is_gone", a_stream_done_both_ways_is_gone, true},
    {"readable_is_edge_triggered", readable_is_edge_triggered, true},
    {"no_readable_before_everything_was_read", no_readable_before_everything_was_read, true},
    {"a_write_takes_what_fits", a_write_takes_what_fits, true},
    {"writable_comes_when_the_reader_made_room", writable_comes_when_the_reader_made_room, true},
    {"no_writable_without_a_short_write", no_writable_without_a_short_write, true},
    {"finish_while_blocked_comes_after_all_data", finish_while_blocked_comes_after_all_data, true},
    {"reset_reaches_the_peer", reset_reaches_the_peer, true},
    {"reset_gives_no_event_to_who_resets", reset_gives_no_event_to_who_resets, true},
    {"reset_by_the_reader_stops_the_writer", reset_by_the_reader_stops_the_writer, true},
    {"reset_drops_what_was_not_read", reset_drops_what_was_not_read, true},
    {"reset_while_blocked_frees_everything", reset_while_blocked_frees_everything, true},
    {"resets_that_cross_are_harmless", resets_that_cross_are_harmless, true},
    {"reset_after_finish_still_resets", reset_after_finish_still_resets, true},
    {"reset_at_once_after_open_leaves_nothing", reset_at_once_after_open_leaves_nothing, true},
    {"stop_sending_ends_the_read_half_only", stop_sending_ends_the_read_half_only, true},
    {"stop_sending_tells_the_peer_where_the_wire_can", stop_sending_tells_the_peer_where_the_wire_can, true},
    {"after_stop_sending_a_writer_does_not_go_on_for_ever", after_stop_sending_a_writer_does_not_go_on_for_ever, true},
    {"stop_sending_does_not_harm_the_answer", stop_sending_does_not_harm_the_answer, true},
    {"stop_sending_twice_is_harmless", stop_sending_twice_is_harmless, true},
    {"snapshot_counts_streams_and_bytes", snapshot_counts_streams_and_bytes, true},
    {"unknown_streams_are_refused", unknown_streams_are_refused, true},
    {"ids_are_not_used_again", ids_are_not_used_again, true},
    {"a_blocked_stream_does_not_block_others", a_blocked_stream_does_not_block_others, true},
    {"streams_share_the_way_fairly", streams_share_the_way_fairly, true},
    {"many_streams_at_once_keep_their_data_apart", many_streams_at_once_keep_their_data_apart, true},
    {"a_thousand_short_streams_leave_nothing", a_thousand_short_streams_leave_nothing, true},
    {"an_open_at_the_limit_waits_and_says_when_it_is_done", an_open_at_the_limit_waits_and_says_when_it_is_done, true},
    {"a_waiting_stream_may_be_written_and_finished", a_waiting_stream_may_be_written_and_finished, true},
    {"a_waiting_stream_may_be_reset", a_waiting_stream_may_be_reset, true},
    {"too_many_waiting_opens_fail", too_many_waiting_opens_fail, true},
    {"big_transfer", big_transfer, true},
    {"big_transfer_back_to_the_dialer", big_transfer_back_to_the_dialer, true},
    {"transfer_with_a_pump_of_odd_sizes", transfer_with_a_pump_of_odd_sizes, true},
    {"transfer_with_a_tiny_pump", transfer_with_a_tiny_pump, true},
    {"transfer_byte_by_byte", transfer_byte_by_byte, true},
    {"transfers_both_ways_on_one_stream", transfers_both_ways_on_one_stream, true},
    {"close_is_seen_on_both_sides", close_is_seen_on_both_sides, true},
    {"closed_comes_last_and_once", closed_comes_last_and_once, true},
    {"what_was_written_before_close_arrives", what_was_written_before_close_arrives, true},
    {"operations_after_close_fail", operations_after_close_fail, true},
    {"close_with_blocked_data_ends_all_the_same", close_with_blocked_data_ends_all_the_same, true},
    {"a_cut_is_seen_on_both_sides", a_cut_is_seen_on_both_sides, true},
    {"a_cut_stream_never_looks_finished", a_cut_stream_never_looks_finished, true},
    {"a_silent_peer_is_noticed", a_silent_peer_is_noticed, true},
    {"an_idle_connection_stays_alive", an_idle_connection_stays_alive, true},
    {"established_comes_first_and_names_the_peer", established_comes_first_and_names_the_peer, false},
    {"close_before_established_ends_both", close_before_established_ends_both, false},
});

using MakePair = std::unique_ptr<ConnectionPair> (*)();

class ConformanceTest final : public Conformance {
 public:
  ConformanceTest(MakePair make, const ConformanceCase& which) : Conformance(make()), case_(which) {}

 private:
  void TestBody() override {
    if (case_.starts_established) {
      establish();
      if (HasFatalFailure()) return;
    }
    case_.run(*this);
  }

  const ConformanceCase& case_;
};

inline bool register_conformance(const char* kind, MakePair make) {
  for (const ConformanceCase& which : k_conformance_cases) {
    ::testing::RegisterTest(kind, which.name, nullptr, nullptr, __FILE__, __LINE__,
                            [make, &which]() -> Conformance* { return new ConformanceTest(make, which); });
  }
  return true;
}

}  // namespace dig::testing
