// SPDX-License-Identifier: Apache-2.0
#include "net/redis_directory.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "base/byte_reader.hpp"
#include "base/decimal.hpp"
#include "store/shared_row.hpp"
#include "wire/node_record.hpp"

namespace dig::net {
namespace {

// KEYS: the stream, the epoch, and the key of each operation. ARGV: this server, a new epoch, how many changes to keep;
// then four words for each operation: slot or "erase", how long the key is kept, the first slot that is stale then,
// and the value.
//
// Lua's numbers hold 53 bits: sequences are compared in halves, and not as text, whose order depends on the locale. An
// entry of the stream tells them as they stand in the values, for all slots of a peer that were written together.
// Keys with something that is not ours are replaced.
constexpr const char* k_put_script = R"(
local stream, epoch_key = KEYS[1], KEYS[2]
local server, new_epoch, limit = ARGV[1], ARGV[2], ARGV[3]

local epoch = redis.pcall('GET', epoch_key)
if type(epoch) ~= 'string' then epoch = new_epoch end
if #KEYS == 2 then
  -- Whoever does not know its own version (new in 7) has no stream whose entries are numbered without a gap.
  if not redis.REDIS_VERSION_NUM then return redis.error_reply('Redis 7 or newer is needed') end
  -- Nothing to put: asks whether Redis takes anything at all, and whether the stream is one of ours.
  local info = redis.pcall('XINFO', 'STREAM', stream)
  local last = ''
  for i = 1, #info - 1, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
  if not last:match('^0%-') and redis.call('DEL', stream) == 1 then epoch = new_epoch end
end
if epoch == new_epoch or #KEYS == 2 then redis.call('SET', epoch_key, epoch) end

local function get(key, slot)
  local value = redis.pcall('HGET', key, slot)
  if type(value) == 'table' then redis.call('DEL', key) return nil end
  if value and #value > 25 and value:byte(1) == 1 then return value end
end

local function compare(a, b)
  local a_high, a_low = struct.unpack('>I4I4', a, 2)
  local b_high, b_low = struct.unpack('>I4I4', b, 2)
  if a_high ~= b_high then return a_high - b_high end
  return a_low - b_low
end

local told, sequences_of = {}, {}

local function note(key, slot, value)
  if not sequences_of[key] then told[#told + 1], sequences_of[key] = key, {} end
  sequences_of[key][slot] = value:sub(2, 9)  -- the last one: no more than a peer has slots
end

local function tell(key)
  local slots, sequences = {}, {}
  for slot, sequence in pairs(sequences_of[key]) do
    slots[#slots + 1], sequences[#sequences + 1] = slot, sequence
  end
  local function add(call)
    return call('XADD', stream, 'MAXLEN', '~', limit, '0-*', 'k', key, 's', table.concat(slots, ','), 'o', server, 'q',
                table.concat(sequences))
  end
  if type(add(redis.pcall)) == 'table' then
    redis.call('DEL', stream)
    add(redis.call)  -- ends the script where it is not the stream that is wrong
    epoch = new_epoch
    redis.call('SET', epoch_key, epoch)
  end
end

local function is_removal(value) return struct.unpack('>I4', value, 18) == 0 end

local function erase_stale(key, first)
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local slot = tonumber(field)
    if not slot or slot >= first then redis.call('HDEL', key, field) end
  end
end

local function put(key, slot, kept, first_stale, value)
  local record = get(key, '0')
  if slot ~= '0' then
    if not record then return 'm' end
    if is_removal(record) then return 'o' end
  end
  local old = record
  if slot ~= '0' then old = get(key, slot) end
  if old then
    local order = compare(old, value)
    if order > 0 then return 'o' end
    if order == 0 then return old:sub(26) == value:sub(26) and 's' or 'c' end
  end
  redis.call('HSET', key, slot, value)
  if slot == '0' then
    redis.call('PEXPIRE', key, kept)
    erase_stale(key, tonumber(first_stale))
  end
  note(key, slot, value)
  return 'w'
end

local outcomes = {}
for i = 3, #KEYS do
  local at = 4 * (i - 3) + 4
  local slot, value = ARGV[at], ARGV[at + 3]
  if slot == 'erase' then
    local record = get(KEYS[i], '0')
    if not record or compare(record, value) <= 0 then redis.call('DEL', KEYS[i]) end
    outcomes[#outcomes + 1] = 's'
  else
    outcomes[#outcomes + 1] = put(KEYS[i], slot, ARGV[at + 1], ARGV[at + 2], value)
  end
end
for _, key in ipairs(told) do tell(key) end
return {epoch, table.concat(outcomes)}
)";

// KEYS: rows of peers. ARGV, one for each: "3,7", or "3+" for all slots from 3 on. Returns {0 or the number of the key
// that did not fit, the slot of it to go on with, {milliseconds to live, slot, value, slot, value, …} for each key}.
constexpr const char* k_read_script = R"(
local budget, max_value, max_fields = 1048576, 65561, 512

local function slots_of(key, wanted)
  local slots = {}
  local first = wanted:match('^(%d+)%+$')
  if not first then
    for slot in wanted:gmatch('%d+') do slots[#slots + 1] = tonumber(slot) end
    return slots
  end
  local count = redis.pcall('HLEN', key)
  if type(count) ~= 'number' or count > max_fields then return slots end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if #field <= 3 and field:match('^%d+$') and tonumber(field) >= tonumber(first) then
      slots[#slots + 1] = tonumber(field)
    end
  end
  table.sort(slots)
  return slots
end

local rows, used = {}, 0
for i, key in ipairs(KEYS) do
  local row = {redis.call('PTTL', key)}
  rows[i] = row
  for _, slot in ipairs(slots_of(key, ARGV[i])) do
    local size = redis.pcall('HSTRLEN', key, slot)
    if type(size) == 'number' and size > 0 and size <= max_value then
      if used > 0 and used + size > budget then return {i, slot, rows} end
      used = used + size
      row[#row + 1] = slot
      row[#row + 1] = redis.call('HGET', key, slot)
    end
  end
end
return {0, 0, rows}
)";

constexpr const char* k_drop_script = R"(
if redis.pcall('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
)";

constexpr std::int64_t k_max_slot = 999;  // of what is read; few of them are in use

Error not_ours(std::string what) { return Error(Errc::malformed, "Redis answers with something else: " + what); }

std::string text_of(const Bytes& bytes) { return std::string(as_text(bytes)); }
std::string milliseconds(Duration duration) {
  return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

const RedisReply::List* list_of(const RedisReply& reply, std::size_t at_least) {
  const RedisReply::List* const list = reply.list();
  return list != nullptr && list->size() >= at_least ? list : nullptr;
}

std::vector<std::string> script(const char* text, std::size_t keys) { return {"EVAL", text, std::to_string(keys)}; }

// "0-7" of the stream.
std::optional<std::uint64_t> entry_number(const std::string* id) {
  if (id == nullptr || !id->starts_with("0-")) return std::nullopt;
  const auto number = parse_decimal(std::string_view(*id).substr(2), std::numeric_limits<std::uint64_t>::max());
  return number ? std::optional(*number) : std::nullopt;
}

std::optional<std::uint32_t> slot_of(std::string_view text) {
  const auto slot = parse_decimal(text, NodeRecord::max_pages);
  return slot ? std::optional(static_cast<std::uint32_t>(*slot)) : std::nullopt;
}

// "0,7" and their sequences. What is none of ours is left out; a slot without a sequence may be anything new.
void add_slots(std::map<std::uint32_t, std::uint64_t>& slots, std::string_view names, std::string_view sequences) {
  ByteReader reader(as_bytes(sequences));
  for (std::size_t count = 0; count <= NodeRecord::max_pages && !names.empty(); ++count) {
    const std::size_t end = std::min(names.find(','), names.size());
    const auto slot = slot_of(names.substr(0, end));
    const std::uint64_t sequence = reader.u64().value_or(std::numeric_limits<std::uint64_t>::max());
    if (slot) slots[*slot] = std::max(slots[*slot], sequence);
    names.remove_prefix(std::min(end + 1, names.size()));
  }
}

}  // namespace

std::size_t SharedPut::size() const noexcept {
  std::size_t size = key.size();
  for (const std::string& word : words) size += word.size();
  return size;
}

std::optional<SharedPut> RedisDirectory::put_of(const store::DirectoryChange& change) const {
  if (const auto* gone = std::get_if<store::EraseRows>(&change)) {
    // Pages go with the record that no longer counts them; what this server has no room for is kept there.
    if (gone->first_slot > 0 || gone->sequence == 0) return std::nullopt;
    return SharedPut{.name = {gone->peer, 0, gone->sequence},
                     .key = key_of(gone->peer),
                     .words = {"erase", "", "", text_of(store::encode_shared_sequence(gone->sequence))}};
  }
  const auto& row = std::get<store::DirectoryRow>(change);
  std::string stale;
  if (row.slot == 0) {
    const auto first = store::first_stale_slot(row);
    if (!first) return std::nullopt;
    stale = std::to_string(*first);
  }
  return SharedPut{.name = {row.peer, row.slot, row.sequence},
                   .key = key_of(row.peer),
                   .words = {std::to_string(row.slot), milliseconds(row.kept + grace), stale,
                             text_of(store::encode_shared_row(row))}};
}

std::vector<std::string> RedisDirectory::put(std::span<const SharedPut> puts, const std::string& new_epoch) const {
  std::vector<std::string> words = script(k_put_script, puts.size() + 2);
  words.insert(words.end(), {stream(), epoch_key()});
  for (const SharedPut& one : puts) words.push_back(one.key);
  words.insert(words.end(), {server_, new_epoch, std::to_string(max_changes_kept)});
  for (const SharedPut& one : puts) words.insert(words.end(), one.words.begin(), one.words.end());
  return words;
}

Result<PutReply> RedisDirectory::read_put(const RedisReply& reply, std::size_t count) {
  const RedisReply::List* const parts = list_of(reply, 2);
  const std::string* const epoch = parts != nullptr ? (*parts)[0].text() : nullptr;
  const std::string* const outcomes = parts != nullptr ? (*parts)[1].text() : nullptr;
  if (epoch == nullptr || outcomes == nullptr || epoch->size() > 64 || outcomes->size() != count) {
    return std::unexpected(not_ours("to rows that were put"));
  }
  PutReply read{.epoch = *epoch, .outcomes = {}};
  for (const char letter : *outcomes) {
    if (std::string_view("wsocm").find(letter) == std::string_view::npos) {
      return std::unexpected(not_ours("to a row that was put"));
    }
    read.outcomes.push_back(static_cast<PutOutcome>(letter));
  }
  return read;
}

std::vector<std::string> RedisDirectory::read(std::span<const WantedRows> wanted) const {
  std::vector<std::string> words = script(k_read_script, wanted.size());
  for (const WantedRows& one : wanted) words.push_back(key_of(one.peer));
  for (const WantedRows& one : wanted) {
    std::string slots;
    for (const std::uint32_t slot : one.slots) slots += (slots.empty() ? "" : ",") + std::to_string(slot);
    words.push_back(one.is_all_after ? slots + '+' : slots);
  }
  return words;
}

Result<RowsRead> RedisDirectory::read_rows(const RedisReply& reply, std::span<const WantedRows> wanted) {
  const RedisReply::List* const parts = list_of(reply, 3);
  const auto stopped = parts != nullptr ? (*parts)[0].number() : std::nullopt;
  const auto next_slot = parts != nullptr ? (*parts)[1].number() : std::nullopt;
  const RedisReply::List* const rows = parts != nullptr ? (*parts)[2].list() : nullptr;
  const auto is_within = [&](std::int64_t number) { return number >= 0 && std::cmp_less_equal(number, wanted.size()); };
  if (!stopped || !next_slot || rows == nullptr || rows->size() > wanted.size() || !is_within(*stopped)) {
    return std::unexpected(not_ours("to rows that were asked for"));
  }
  RowsRead read;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const RedisReply::List* const row = (*rows)[i].list();
    const auto left = row != nullptr && row->size() % 2 == 1 ? (*row)[0].number() : std::nullopt;
    if (!left) return std::unexpected(not_ours("a row"));
    for (std::size_t at = 1; at < row->size(); at += 2) {
      const auto slot = (*row)[at].number();
      const std::string* const value = (*row)[at + 1].text();
      if (!slot || *slot < 0 || *slot > k_max_slot || value == nullptr)
        return std::unexpected(not_ours("the slots of a row"));
      read.values.push_back(
          {.peer = wanted[i].peer,
           .slot = static_cast<std::uint32_t>(*slot),
           .value = *value,
           .left = *left >= 0 ? std::optional(std::max<Duration>(std::chrono::milliseconds(*left) - grace, 0s))
                              : std::nullopt});
    }
  }
  if (*stopped == 0) return read;
  const auto rest = wanted.subspan(static_cast<std::size_t>(*stopped) - 1);
  // It has to get on.
  const bool is_further = *stopped > 1 || std::cmp_greater(*next_slot, rest.front().slots.front());
  if (read.values.empty() || *next_slot < 0 || *next_slot > k_max_slot || !is_further) {
    return std::unexpected(not_ours("no row fits"));
  }
  read.rest.assign(rest.begin(), rest.end());
  std::vector<std::uint32_t>& slots = read.rest.front().slots;
  if (read.rest.front().is_all_after) {
    slots = {static_cast<std::uint32_t>(*next_slot)};
  } else {
    std::erase_if(slots, [&](std::uint32_t slot) { return std::cmp_less(slot, *next_slot); });
    if (slots.empty()) read.rest.erase(read.rest.begin());
  }
  return read;
}

std::vector<std::string> RedisDirectory::drop(const SharedValue& value) const {
  std::vector<std::string> words = script(k_drop_script, 1);
  words.insert(words.end(), {key_of(value.peer), std::to_string(value.slot), value.value});
  return words;
}

std::vector<std::string> RedisDirectory::scan(const std::string& cursor) const {
  return {"SCAN", cursor, "MATCH", prefix_ + "row:*", "COUNT", std::to_string(keys_per_scan), "TYPE", "hash"};
}

Result<std::pair<std::string, std::vector<WantedRows>>> RedisDirectory::read_scan(const RedisReply& reply) const {
  const RedisReply::List* const parts = list_of(reply, 2);
  const std::string* const cursor = parts != nullptr ? (*parts)[0].text() : nullptr;
  const RedisReply::List* const keys = parts != nullptr ? (*parts)[1].list() : nullptr;
  if (cursor == nullptr || cursor->empty() || keys == nullptr) return std::unexpected(not_ours("to a scan"));
  std::vector<WantedRows> wanted;
  const std::string start = prefix_ + "row:";
  for (const RedisReply& key : *keys) {
    const std::string* const text = key.text();
    if (text == nullptr || !text->starts_with(start)) continue;
    // Whose name is no peer id is not ours; nor is one in another form, where it would not be found again.
    auto peer = PeerId::parse(std::string_view(*text).substr(start.size()));
    if (peer && key_of(*peer) == *text) wanted.push_back({std::move(*peer), {0}, true});
  }
  return std::pair(*cursor, std::move(wanted));
}

std::vector<std::string> RedisDirectory::last_change() const { return {"XREVRANGE", stream(), "+", "-", "COUNT", "1"}; }

Result<std::uint64_t> RedisDirectory::read_last_change(const RedisReply& reply) {
  const RedisReply::List* const entries = reply.list();
  if (entries == nullptr) return std::unexpected(not_ours("the last change"));
  if (entries->empty()) return 0;
  const RedisReply::List* const entry = list_of(entries->front(), 1);
  const auto number = entry != nullptr ? entry_number((*entry)[0].text()) : std::nullopt;
  // With entries of somebody else in it, the stream is made anew by the next row that is put, in a new epoch.
  return number.value_or(0);
}

std::vector<std::string> RedisDirectory::changes_after(std::uint64_t last, Duration block) const {
  return {"XREAD",   "COUNT",  std::to_string(changes_per_read), "BLOCK", milliseconds(block),
          "STREAMS", stream(), "0-" + std::to_string(last)};
}

Result<ChangesRead> RedisDirectory::read_changes(const RedisReply& reply, std::uint64_t last) const {
  ChangesRead read{.rows = {}, .last = last, .has_gap = false};
  if (std::holds_alternative<std::monostate>(reply.value)) return read;  // nothing came in time
  const RedisReply::List* const streams = list_of(reply, 1);
  const RedisReply::List* const named = streams != nullptr ? list_of(streams->front(), 2) : nullptr;
  const RedisReply::List* const entries = named != nullptr ? (*named)[1].list() : nullptr;
  if (entries == nullptr) return std::unexpected(not_ours("to the changes that were asked for"));
  std::map<PeerId, std::map<std::uint32_t, std::uint64_t>> changed;
  const std::string start = prefix_ + "row:";
  for (const RedisReply& reply_entry : *entries) {
    const RedisReply::List* const entry = list_of(reply_entry, 2);
    const auto number = entry != nullptr ? entry_number((*entry)[0].text()) : std::nullopt;
    const RedisReply::List* const fields = entry != nullptr ? list_of((*entry)[1], 8) : nullptr;
    if (!number || *number != read.last + 1 || fields == nullptr) {
      read.has_gap = true;
      break;
    }
    read.last = *number;
    const std::string* const key = (*fields)[1].text();
    const std::string* const slots = (*fields)[3].text();
    const std::string* const origin = (*fields)[5].text();
    const std::string* const sequences = (*fields)[7].text();
    if (key == nullptr || slots == nullptr || origin == nullptr || sequences == nullptr || *origin == server_) continue;
    if (!key->starts_with(start)) continue;
    const auto peer = PeerId::parse(std::string_view(*key).substr(start.size()));
    if (peer) add_slots(changed[*peer], *slots, *sequences);
  }
  for (auto& [peer, slots] : changed) {
    if (!slots.empty()) read.rows.push_back({peer, std::move(slots)});
  }
  return read;
}

}  // namespace dig::net
