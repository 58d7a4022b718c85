// SPDX-License-Identifier: Apache-2.0
// The parts of Asio that net/ uses. Included by .cpp files only: it costs seconds per translation unit.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace dig::net {

// With the type of the executor: the erased one of Asio's own alias costs memory and time for each wait.
using Descriptor = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;

}  // namespace dig::net
