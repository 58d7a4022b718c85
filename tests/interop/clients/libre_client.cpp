// SPDX-License-Identifier: Apache-2.0
// One life of a TURN allocation with the client of Debian's libre: allocate, permission, data in indications, channel,
// data in the channel, the refreshes of all three, release. Prints a line for each step that is done; the first that
// fails ends the program with exit code 1.
#include <re.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace {
std::uint64_t skipped_milliseconds = 0;
}

// libre's timers ask this function, which stands here in place of libre's own: to let the time of a refresh come, the
// client skips minutes of it.
extern "C" std::uint64_t tmr_jiffies() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return skipped_milliseconds + static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

namespace {

// Later than each timer of libre: 3/4 of an allocation's 600 s, 250 s of a permission and of a channel.
constexpr std::uint64_t past_every_refresh_ms = 500'000;
constexpr std::size_t header_room = 64;  // before the data: an indication with one address and DATA has 36 bytes
constexpr std::size_t kilobyte = 1000;

struct Arguments {
  std::string transport;
  sa server{};
  std::string user;
  std::string password;
  sa peer{};
  std::string authority_file;
};

class Client {
 public:
  explicit Client(Arguments arguments) : arguments_(std::move(arguments)) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    mem_deref(turn_);
    mem_deref(secure_);
    mem_deref(dtls_);
    mem_deref(tcp_);
    mem_deref(observer_);
    mem_deref(udp_);
    mem_deref(tls_);
    mem_deref(stream_);
  }

  int run() {
    connect();
    if (code_ == 0) re_main(nullptr);
    return code_;
  }

 private:
  enum class Step { allocate, indication, channel, refresh, after_refresh, release };

  static Client& self(void* argument) { return *static_cast<Client*>(argument); }

  void fail(const char* what, int error, unsigned status = 0) {
    std::printf("failed: %s: %s, status %u\n", what, error == 0 ? "answered" : std::strerror(error), status);
    code_ = 1;
    re_cancel();
  }
  void check(const char* what, int error) {
    if (error != 0) fail(what, error);
  }

  void connect() {
    if (arguments_.transport == "udp") return connect_udp();
    if (arguments_.transport == "dtls") return connect_dtls();
    check("connect", tcp_connect(
                         &tcp_, &arguments_.server, [](void* it) { self(it).allocate(IPPROTO_TCP, self(it).tcp_); },
                         [](mbuf* bytes, void* it) { self(it).on_stream(bytes); },
                         [](int error, void* it) { self(it).fail("connection", error); }, this));
    if (arguments_.transport != "tls" || code_ != 0) return;
    make_tls(TLS_METHOD_SSLV23);
    check("TLS", tls_start_tcp(&secure_, tls_, tcp_, 0));
    check("name", tls_set_verify_server(secure_, "turn.example.org"));
  }
  void make_tls(tls_method method) {
    check("TLS", tls_alloc(&tls_, method, nullptr, nullptr));
    check("authority", tls_add_ca(tls_, arguments_.authority_file.c_str()));
  }
  void listen_udp(udp_recv_h* receive) {
    sa local{};
    sa_init(&local, sa_af(&arguments_.server));
    check("socket", udp_listen(&udp_, &local, receive, this));
  }
  void connect_udp() {
    listen_udp([](const sa* source, mbuf* bytes, void* it) { self(it).on_data(*source, bytes); });
    // A layer below that of the TURN client, to see what it sees.
    check("observer", udp_register_helper(
                          &observer_, udp_, -1, nullptr,
                          [](sa*, mbuf* bytes, void* it) {
                            self(it).observe(bytes);
                            return false;
                          },
                          this));
    allocate(IPPROTO_UDP, udp_);
  }
  void connect_dtls() {
    listen_udp(nullptr);
    make_tls(TLS_METHOD_DTLSV1_2);
    check("DTLS", dtls_listen(&dtls_, nullptr, udp_, 4, 0, nullptr, nullptr));
    check("DTLS", dtls_connect(
                      &secure_, tls_, dtls_, &arguments_.server,
                      [](void* it) { self(it).allocate(STUN_TRANSP_DTLS, self(it).secure_); },
                      [](mbuf* bytes, void* it) { self(it).on_message(bytes); },
                      [](int error, void* it) { self(it).fail("connection", error); }, this));
    if (code_ == 0) check("name", tls_set_verify_server(secure_, "turn.example.org"));
  }

  void allocate(int protocol, void* socket) {
    check("allocate", turnc_alloc(
                          &turn_, nullptr, protocol, socket, 0, &arguments_.server, arguments_.user.c_str(),
                          arguments_.password.c_str(), TURN_DEFAULT_LIFETIME,
                          [](int error, std::uint16_t status, const char*, const sa* relayed, const sa* mapped,
                             const stun_msg*, void* it) { self(it).on_turn(error, status, relayed, mapped); },
                          this));
  }
  // The answer to Allocate; later any failure.
  void on_turn(int error, std::uint16_t status, const sa* relayed, const sa* mapped) {
    if (error != 0 || status != 0) return fail("request", error, status);
    if (relayed == nullptr || mapped == nullptr || !sa_cmp(relayed, &arguments_.server, SA_ADDR)) {
      return fail("addresses", EPROTO);
    }
    std::printf("allocated\n");
    check("permission", turnc_add_perm(turn_, &arguments_.peer, [](void* it) { self(it).on_permission(); }, this));
  }
  void on_permission() {
    std::printf("permission\n");
    step_ = Step::indication;
    send();
  }
  void on_channel() {
    std::printf("channel\n");
    step_ = Step::channel;
    send();
  }

  std::string payload() const { return std::string(kilobyte + static_cast<std::size_t>(step_), 'x'); }  // odd ones too
  void send() {
    mbuf* bytes = mbuf_alloc(header_room + 2 * kilobyte);
    bytes->pos = bytes->end = header_room;
    check("write", mbuf_write_str(bytes, payload().c_str()));
    bytes->pos = header_room;
    // On UDP the client sits between the socket and its user.
    check("send", udp_ != nullptr && dtls_ == nullptr ? udp_send(udp_, &arguments_.peer, bytes)
                                                      : turnc_send(turn_, &arguments_.peer, bytes));
    mem_deref(bytes);
  }
  void on_data(const sa& source, mbuf* bytes) {
    if (turn_ == nullptr) return;  // the answer to the release
    const std::string_view got(reinterpret_cast<const char*>(mbuf_buf(bytes)), mbuf_get_left(bytes));
    if (!sa_cmp(&source, &arguments_.peer, SA_ALL)) return fail("source of the data", EPROTO);
    if (got != payload()) return fail("data", EBADMSG);
    if (step_ == Step::indication) {
      std::printf("data in indications\n");
      check("channel", turnc_add_chan(turn_, &arguments_.peer, [](void* it) { self(it).on_channel(); }, this));
    } else if (step_ == Step::channel) {
      std::printf("data in the channel\n");
      step_ = Step::refresh;
      confirmed_.clear();
      skipped_milliseconds += past_every_refresh_ms;
    } else if (step_ == Step::after_refresh) {
      std::printf("data in the channel after the refresh\n");
      step_ = Step::release;
      turn_ = static_cast<turnc*>(mem_deref(turn_));
    } else {
      fail("data that was not awaited", EPROTO);
    }
  }

  // Sees each message of the server before the TURN client does: libre tells its user of failed refreshes only.
  void observe(mbuf* bytes) {
    const std::size_t begin = bytes->pos;
    stun_msg* message = nullptr;
    stun_unknown_attr unknown{};
    if (stun_msg_decode(&message, bytes, &unknown) == 0) {
      if (stun_msg_class(message) == STUN_CLASS_SUCCESS_RESP) on_success(message);
      mem_deref(message);
    }
    bytes->pos = begin;
  }
  void on_success(const stun_msg* message) {
    confirmed_.insert(stun_msg_method(message));
    if (step_ == Step::release) {
      const stun_attr* lifetime = stun_msg_attr(message, STUN_ATTR_LIFETIME);
      if (stun_msg_method(message) != STUN_METHOD_REFRESH || lifetime == nullptr || lifetime->v.lifetime != 0) {
        return fail("release", EPROTO);
      }
      std::printf("released\n");
      re_cancel();
    }
    const std::set<int> all{STUN_METHOD_REFRESH, STUN_METHOD_CREATEPERM, STUN_METHOD_CHANBIND};
    if (step_ == Step::refresh && confirmed_ == all) {
      std::printf("refreshed\n");
      step_ = Step::after_refresh;
      send();
    }
  }

  void on_message(mbuf* bytes) {
    observe(bytes);
    if (turn_ == nullptr) return;
    sa source{};
    const int error = turnc_recv(turn_, &source, bytes);
    if (error != 0) return fail("message", error);
    if (mbuf_get_left(bytes) > 0) on_data(source, bytes);
  }
  // RFC 8656 section 12.5: on a stream ChannelData is padded to four bytes, and STUN messages have such a length
  // anyway.
  void on_stream(mbuf* bytes) {
    if (stream_ == nullptr) stream_ = mbuf_alloc(4 * kilobyte);
    stream_->pos = stream_->end;
    check("stream", mbuf_write_mem(stream_, mbuf_buf(bytes), mbuf_get_left(bytes)));
    stream_->pos = 0;
    while (mbuf_get_left(stream_) >= 4 && code_ == 0) {
      const std::size_t begin = stream_->pos;
      const std::size_t end = stream_->end;
      const bool is_channel_data = (mbuf_buf(stream_)[0] & 0xC0) == 0x40;
      const std::size_t length = (is_channel_data ? 4U : 20U) + mbuf_buf(stream_)[2] * 256U + mbuf_buf(stream_)[3];
      const std::size_t next = begin + (length + 3) / 4 * 4;
      if (next > end) break;
      stream_->end = begin + length;
      on_message(stream_);
      stream_->pos = next;
      stream_->end = end;
    }
    const std::string rest(reinterpret_cast<const char*>(mbuf_buf(stream_)), mbuf_get_left(stream_));
    mbuf_rewind(stream_);
    check("stream", mbuf_write_mem(stream_, reinterpret_cast<const std::uint8_t*>(rest.data()), rest.size()));
  }

  Arguments arguments_;
  Step step_ = Step::allocate;
  std::set<int> confirmed_;  // methods with a success response since the last step
  int code_ = 0;
  udp_sock* udp_ = nullptr;
  udp_helper* observer_ = nullptr;
  tcp_conn* tcp_ = nullptr;
  tls* tls_ = nullptr;
  tls_conn* secure_ = nullptr;
  dtls_sock* dtls_ = nullptr;
  turnc* turn_ = nullptr;
  mbuf* stream_ = nullptr;
};

}  // namespace

int main(int count, char** words) {
  if (count != 7) {
    std::fprintf(stderr, "usage: libre_client udp|tcp|tls|dtls SERVER:PORT USER PASSWORD PEER:PORT AUTHORITY_FILE\n");
    return 2;
  }
  Arguments arguments{.transport = words[1], .user = words[3], .password = words[4], .authority_file = words[6]};
  if (sa_decode(&arguments.server, words[2], std::strlen(words[2])) != 0 ||
      sa_decode(&arguments.peer, words[5], std::strlen(words[5])) != 0 || libre_init() != 0) {
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const int code = Client(std::move(arguments)).run();
  libre_close();
  return code;
}
