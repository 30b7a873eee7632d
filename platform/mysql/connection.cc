#include "platform/mysql/connection.h"

#include <fmt/format.h>
#include <mysql.h>
#include <poll.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "platform/mysql/server_error.h"

namespace outrider::mysql {
namespace {

// my_bool in MariaDB's client, bool in MySQL's.
using ClientBool = std::remove_pointer_t<decltype(MYSQL_BIND::is_null)>;

constexpr std::size_t kMaxStatements = 64;
constexpr std::size_t kInlineColumnBytes = 1024;
constexpr std::size_t kPacketOverhead = 1024;

constexpr std::string_view kSessionSettings =
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin, autocommit = 1, time_zone = '+00:00', sql_mode = "
    "'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'";
constexpr std::string_view kSessionIsolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
// Locks of rows, and of tables against DDL.
constexpr std::string_view kSessionLockWaits = "SET SESSION innodb_lock_wait_timeout = {0}, lock_wait_timeout = {0}";
constexpr std::string_view kSessionSilence = "SET SESSION wait_timeout = {}";

struct CloseStatement {
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};
using Statement = std::unique_ptr<MYSQL_STMT, CloseStatement>;

struct FreeResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using Metadata = std::unique_ptr<MYSQL_RES, FreeResult>;

// Least recently used out first. Lists of varying length make many texts of one statement.
class StatementCache {
 public:
  MYSQL_STMT* Find(std::string_view sql) {
    const auto found = index_.find(sql);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.front().statement.get();
  }

  MYSQL_STMT* Insert(std::string_view sql, Statement statement) {
    if (entries_.size() >= kMaxStatements) Erase(entries_.back().sql);
    entries_.push_front({std::string(sql), std::move(statement)});
    index_.emplace(entries_.front().sql, entries_.begin());
    return entries_.front().statement.get();
  }

  void Erase(std::string_view sql) {
    const auto found = index_.find(sql);
    if (found == index_.end()) return;
    const auto entry = found->second;
    index_.erase(found);
    entries_.erase(entry);
  }

 private:
  struct Entry {
    std::string sql;
    Statement statement;
  };
  std::list<Entry> entries_;
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;  // keys point into the entries
};

// The parameters as the client library wants them; borrows the texts of `params`.
class BoundParams {
 public:
  explicit BoundParams(std::span<const Param> params) : binds_(params.size()), values_(params.size()) {
    for (std::size_t i = 0; i < params.size(); ++i) std::visit([&](const auto& value) { Bind(i, value); }, params[i]);
  }

  MYSQL_BIND* binds() { return binds_.data(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Value {
    std::int64_t signed_number = 0;
    std::uint64_t unsigned_number = 0;
    double real = 0;
    std::string text;
    unsigned long length = 0;  // NOLINT: the client's type
  };

  void Bind(std::size_t i, std::nullptr_t) { binds_[i].buffer_type = MYSQL_TYPE_NULL; }
  void Bind(std::size_t i, std::int64_t value) {
    values_[i].signed_number = value;
    BindNumber(i, MYSQL_TYPE_LONGLONG, &values_[i].signed_number);
  }
  void Bind(std::size_t i, std::uint64_t value) {
    values_[i].unsigned_number = value;
    BindNumber(i, MYSQL_TYPE_LONGLONG, &values_[i].unsigned_number);
    binds_[i].is_unsigned = 1;
  }
  void Bind(std::size_t i, double value) {
    values_[i].real = value;
    BindNumber(i, MYSQL_TYPE_DOUBLE, &values_[i].real);
  }
  void Bind(std::size_t i, std::string_view text) {
    values_[i].length = text.size();
    binds_[i].buffer_type = MYSQL_TYPE_STRING;
    // The client reads only; its structure serves results too and so isn't const. A null pointer would mean NULL.
    binds_[i].buffer = const_cast<char*>(text.data() == nullptr ? "" : text.data());
    binds_[i].buffer_length = text.size();
    binds_[i].length = &values_[i].length;
    bytes_ += text.size() + 9;
  }
  void Bind(std::size_t i, Timestamp time) {
    values_[i].text = FormatSqlTime(time);
    Bind(i, std::string_view(values_[i].text));
  }
  void BindNumber(std::size_t i, enum_field_types type, void* value) {
    binds_[i].buffer_type = type;
    binds_[i].buffer = value;
    bytes_ += 9;
  }

  std::vector<MYSQL_BIND> binds_;
  std::vector<Value> values_;
  std::size_t bytes_ = 0;
};

// One row's worth of buffers. Integers and doubles are converted here, exactly; all else comes as text or bytes.
class BoundRow final : public RowView {
 public:
  enum class Times { kAsText, kAsNumbers };

  BoundRow(const MYSQL_FIELD* fields, std::size_t count, Times times = Times::kAsText)
      : binds_(count), columns_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      Column& column = columns_[i];
      MYSQL_BIND& bind = binds_[i];
      bind.is_null = &column.null;
      bind.length = &column.length;
      bind.error = &column.error;
      switch (fields[i].type) {
        case MYSQL_TYPE_TINY:
        case MYSQL_TYPE_SHORT:
        case MYSQL_TYPE_INT24:
        case MYSQL_TYPE_LONG:
        case MYSQL_TYPE_LONGLONG:
        case MYSQL_TYPE_YEAR:
          column.is_unsigned = (fields[i].flags & UNSIGNED_FLAG) != 0;
          bind.buffer_type = MYSQL_TYPE_LONGLONG;
          bind.is_unsigned = column.is_unsigned ? 1 : 0;
          bind.buffer = &column.number;
          bind.buffer_length = sizeof column.number;
          break;
        case MYSQL_TYPE_FLOAT:
        case MYSQL_TYPE_DOUBLE:
          bind.buffer_type = MYSQL_TYPE_DOUBLE;
          bind.buffer = &column.real;
          bind.buffer_length = sizeof column.real;
          break;
        case MYSQL_TYPE_TIMESTAMP:
        case MYSQL_TYPE_DATETIME:
          if (times == Times::kAsNumbers) {
            bind.buffer_type = MYSQL_TYPE_DATETIME;
            bind.buffer = &column.time;
            bind.buffer_length = sizeof column.time;
            break;
          }
          [[fallthrough]];
        default:
          column.text.resize(std::clamp<std::size_t>(fields[i].length, 64, kInlineColumnBytes));
          bind.buffer_type = MYSQL_TYPE_STRING;
          bind.buffer = column.text.data();
          bind.buffer_length = column.text.size();
      }
    }
  }

  MYSQL_BIND* binds() { return binds_.data(); }

  // The row just fetched; nothing when a long value can't be read.
  std::optional<Row> Take(MYSQL_STMT* statement) {
    std::vector<std::optional<std::string>> values(columns_.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const Column& column = columns_[i];
      if (column.null) continue;
      if (binds_[i].buffer_type == MYSQL_TYPE_LONGLONG) {
        values[i] = column.is_unsigned ? fmt::to_string(static_cast<std::uint64_t>(column.number))
                                       : fmt::to_string(column.number);
      } else if (binds_[i].buffer_type == MYSQL_TYPE_DOUBLE) {
        values[i] = fmt::to_string(column.real);
      } else if (column.length <= column.text.size()) {
        values[i].emplace(column.text.data(), column.length);
      } else if (!ReadLong(statement, i, values[i].emplace(column.length, '\0'))) {
        return std::nullopt;
      }
    }
    return Row(std::move(values));
  }

  // Before the getters: makes room for values that are longer than any before. False when one can't be read.
  bool FetchLongValues(MYSQL_STMT* statement) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      Column& column = columns_[i];
      if (column.null || binds_[i].buffer_type != MYSQL_TYPE_STRING || column.length <= column.text.size()) continue;
      column.long_text.resize(column.length);
      if (!ReadLong(statement, i, column.long_text)) return false;
    }
    return true;
  }

  bool IsNull(std::size_t i) const override {
    if (i >= columns_.size()) StopProgram(fmt::format("mysql::RowView: no column {} among {}", i, columns_.size()));
    return columns_[i].null;
  }
  std::uint64_t Unsigned(std::size_t i) const override {
    const Column& column = Value(i, MYSQL_TYPE_LONGLONG);
    if (!column.is_unsigned && column.number < 0) {
      StopProgram(fmt::format("mysql::RowView: column {} is negative", i));
    }
    return static_cast<std::uint64_t>(column.number);
  }
  std::string_view Text(std::size_t i) const override {
    const Column& column = Value(i, MYSQL_TYPE_STRING);
    return {column.length <= column.text.size() ? column.text.data() : column.long_text.data(), column.length};
  }
  Timestamp Time(std::size_t i) const override {
    const MYSQL_TIME& time = Value(i, MYSQL_TYPE_DATETIME).time;
    const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(time.year)),
                                          std::chrono::month(time.month), std::chrono::day(time.day)};
    return std::chrono::sys_days(day) + std::chrono::hours(time.hour) + std::chrono::minutes(time.minute) +
           std::chrono::seconds(time.second) + std::chrono::microseconds(time.second_part);
  }

 private:
  struct Column {
    std::string text;
    std::string long_text;
    MYSQL_TIME time{};
    std::int64_t number = 0;
    double real = 0;
    unsigned long length = 0;  // NOLINT: the client's type
    ClientBool null = 0;
    ClientBool error = 0;
    bool is_unsigned = false;
  };

  const Column& Value(std::size_t i, enum_field_types type) const {
    if (IsNull(i)) StopProgram(fmt::format("mysql::RowView: column {} is NULL", i));
    if (binds_[i].buffer_type != type) {
      StopProgram(fmt::format("mysql::RowView: column {} isn't of the type asked for", i));
    }
    return columns_[i];
  }

  static bool ReadLong(MYSQL_STMT* statement, std::size_t column, std::string& value) {
    unsigned long length = 0;  // NOLINT: the client's type
    ClientBool null = 0;
    ClientBool error = 0;
    MYSQL_BIND bind{};
    bind.buffer_type = MYSQL_TYPE_STRING;
    bind.buffer = value.data();
    bind.buffer_length = value.size();
    bind.length = &length;
    bind.is_null = &null;
    bind.error = &error;
    return mysql_stmt_fetch_column(statement, &bind, static_cast<unsigned>(column), 0) == 0 && length == value.size();
  }

  std::vector<MYSQL_BIND> binds_;
  std::vector<Column> columns_;
};

void InitializeLibrary() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (mysql_library_init(0, nullptr, nullptr) != 0) StopProgram("mysql: the client library can't be initialised");
  });
}

}  // namespace

struct MysqlConnection::State {
  explicit State(const MysqlOptions& connection_options) : options(connection_options), where(Describe(options)) {}
  // The connection first: then the statements only free their memory instead of saying good-bye one by one.
  ~State() {
    if (handle != nullptr) mysql_close(handle);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  std::unexpected<Error> Failure(unsigned code, std::string_view text, std::string_view sql, Call call) {
    if (EndsSession(code)) healthy = false;
    if (IsReadOnly(code)) read_only = true;
    const std::string message =
        fmt::format("{}: {} (error {}){}{}", where, WithoutValues(code, std::string(text)), code, Advice(code),
                    sql.empty() ? std::string() : fmt::format(" [{}]", Excerpt(sql)));
    Error error{Classify(code, call), message, static_cast<int>(code)};
    if (in_transaction && EndsTransaction(code)) doom = error;
    return std::unexpected<Error>(std::move(error));
  }
  std::unexpected<Error> Failure(std::string_view sql, Call call) {
    const unsigned code = mysql_errno(handle);
    return Failure(code == 0 ? kEmptyAnswer : code, mysql_error(handle), sql, call);
  }
  std::unexpected<Error> Failure(MYSQL_STMT* statement, std::string_view sql, Call call) {
    // An error in the middle of the rows is told to the connection alone.
    const bool said = mysql_stmt_errno(statement) != 0;
    const unsigned code = said ? mysql_stmt_errno(statement) : mysql_errno(handle);
    const char* const text = said ? mysql_stmt_error(statement) : mysql_error(handle);
    return Failure(code == 0 ? kEmptyAnswer : code, text, sql, call);
  }

  Result<void> Usable() const {
    if (!healthy) {
      return Fail(ErrorCode::kUnavailable, fmt::format("{}: the connection was lost before; open another one", where),
                  kEmptyAnswer);
    }
    if (doom) return std::unexpected<Error>(*doom);
    return {};
  }

  Call CallOf(std::string_view sql) const {
    if (in_transaction) return Call::kTransactional;
    return OnlyReads(sql) ? Call::kRead : Call::kAutocommitted;
  }

  Result<void> Query(std::string_view sql, Call call) {
    if (mysql_real_query(handle, sql.data(), sql.size()) != 0) return Failure(sql, call);
    return {};
  }

  // Results of a text-protocol query, each dropped, up to the first error.
  Result<void> DropResults(std::string_view sql, Call call) {
    while (true) {
      const Metadata result(mysql_store_result(handle));
      if (!result && mysql_field_count(handle) != 0) return Failure(sql, call);
      const int next = mysql_next_result(handle);
      if (next < 0) return {};
      if (next > 0) return Failure(sql, call);
    }
  }

  Result<MYSQL_STMT*> Prepare(std::string_view sql) {
    if (MYSQL_STMT* known = statements.Find(sql)) return known;
    Statement statement(mysql_stmt_init(handle));
    if (!statement) StopProgram("mysql: out of memory");
    // Preparing changes nothing, whatever the statement is.
    if (mysql_stmt_prepare(statement.get(), sql.data(), sql.size()) != 0) {
      return Failure(statement.get(), sql, Call::kRead);
    }
    return statements.Insert(sql, std::move(statement));
  }

  Result<Rows> Fetch(MYSQL_STMT* statement, std::string_view sql, Call call) {
    Rows rows;
    const Metadata metadata(mysql_stmt_result_metadata(statement));
    if (!metadata) {
      rows.affected = mysql_stmt_affected_rows(statement);
      rows.insert_id = mysql_stmt_insert_id(statement);
      return rows;
    }
    BoundRow row(mysql_fetch_fields(metadata.get()), mysql_num_fields(metadata.get()));
    if (mysql_stmt_bind_result(statement, row.binds()) != 0) return Failure(statement, sql, call);
    while (true) {
      const int status = mysql_stmt_fetch(statement);
      if (status == MYSQL_NO_DATA) return rows;
      if (status != 0 && status != MYSQL_DATA_TRUNCATED) return Failure(statement, sql, call);
      auto values = row.Take(statement);
      if (!values) return Failure(statement, sql, call);
      rows.rows.push_back(std::move(*values));
    }
  }

  Result<void> FetchEach(MYSQL_STMT* statement, std::string_view sql, Call call,
                         const std::function<void(const RowView&)>& take) {
    const Metadata metadata(mysql_stmt_result_metadata(statement));
    if (!metadata) return {};
    BoundRow row(mysql_fetch_fields(metadata.get()), mysql_num_fields(metadata.get()), BoundRow::Times::kAsNumbers);
    if (mysql_stmt_bind_result(statement, row.binds()) != 0) return Failure(statement, sql, call);
    while (true) {
      const int status = mysql_stmt_fetch(statement);
      if (status == MYSQL_NO_DATA) return {};
      if (status != 0 && status != MYSQL_DATA_TRUNCATED) return Failure(statement, sql, call);
      if (!row.FetchLongValues(statement)) return Failure(statement, sql, call);
      take(row);
    }
  }

  // Prepares, binds and executes; `fetch` reads what comes.
  template <class T, class Fetch>
  Result<T> Run(std::string_view sql, std::span<const Param> params, const Fetch& fetch) {
    if (auto usable = Usable(); !usable) return std::unexpected(usable.error());
    BoundParams bound(params);
    const std::size_t size = sql.size() + bound.bytes() + kPacketOverhead;
    if (max_packet != 0 && size > max_packet) {
      // Sent, it would cost the connection and look like an outage.
      return Fail(ErrorCode::kInvalid,
                  fmt::format("{}: a statement of {} bytes is more than the server's max_allowed_packet of {} [{}]",
                              where, size, max_packet, Excerpt(sql)),
                  kPacketTooLarge);
    }
    auto prepared = Prepare(sql);
    if (!prepared) return std::unexpected(prepared.error());
    MYSQL_STMT* const statement = *prepared;
    if (const auto wanted = mysql_stmt_param_count(statement); wanted != params.size()) {
      return Fail(ErrorCode::kInvalid, fmt::format("{}: {} parameters for {} question marks [{}]", where, params.size(),
                                                   wanted, Excerpt(sql)));
    }

    const Call call = CallOf(sql);
    Result<T> result;
    if ((!params.empty() && mysql_stmt_bind_param(statement, bound.binds()) != 0) ||
        mysql_stmt_execute(statement) != 0) {
      result = Failure(statement, sql, call);
    } else {
      result = fetch(statement, call);
    }
    if (healthy) mysql_stmt_free_result(statement);
    // A statement that failed may have lost its place on the server (1243, 1615); preparing again is cheap.
    if (!result) statements.Erase(sql);
    return result;
  }

  MysqlOptions options;
  std::string where;
  StatementCache statements;
  MYSQL* handle = nullptr;
  Flavor flavor = Flavor::kMysql;
  std::uint64_t max_packet = 0;
  bool in_transaction = false;
  bool healthy = true;
  bool read_only = false;
  std::optional<Error> doom;  // what ended the open transaction on the server
};

MysqlConnection::MysqlConnection(std::unique_ptr<State> state) : state_(std::move(state)) {}
MysqlConnection::~MysqlConnection() = default;

Result<std::unique_ptr<MysqlConnection>> MysqlConnection::Open(const MysqlOptions& options) {
  InitializeLibrary();
  auto state = std::make_unique<State>(options);
  state->handle = mysql_init(nullptr);
  if (state->handle == nullptr) StopProgram("mysql: out of memory");
  MYSQL* const handle = state->handle;

  const auto connect_timeout = static_cast<unsigned>(options.connect_timeout.count());
  const auto io_timeout = static_cast<unsigned>(options.io_timeout.count());
  // "localhost" would otherwise mean a socket file, and a URL with a port never means that.
  const unsigned protocol = MYSQL_PROTOCOL_TCP;
  const unsigned local_files = 0;  // a server must not be able to ask for our files
  mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &connect_timeout);
  mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &io_timeout);
  mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &io_timeout);
  mysql_options(handle, MYSQL_OPT_PROTOCOL, &protocol);
  mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &local_files);
  mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  if (mysql_real_connect(handle, options.host.c_str(), options.user.c_str(), options.password.Reveal().c_str(),
                         options.database.empty() ? nullptr : options.database.c_str(), options.port, nullptr,
                         CLIENT_MULTI_RESULTS) == nullptr) {
    return state->Failure("", Call::kRead);
  }

  const std::string_view version = mysql_get_server_info(handle);
  state->flavor = version.find("MariaDB") == std::string_view::npos ? Flavor::kMysql : Flavor::kMariaDb;
  const auto lock_wait = std::max<std::int64_t>(options.io_timeout.count() / 2, 1);
  std::vector<std::string> settings = {std::string(kSessionSettings), std::string(kSessionIsolation),
                                       fmt::format(kSessionLockWaits, lock_wait)};
  if (options.hang_up_after.count() > 0) {
    settings.push_back(fmt::format(kSessionSilence, options.hang_up_after.count()));
  }
  for (const std::string& setting : settings) {
    if (auto set = state->Query(setting, Call::kRead); !set) return std::unexpected(set.error());
  }
  std::unique_ptr<MysqlConnection> connection(new MysqlConnection(std::move(state)));
  auto limit = connection->Execute("SELECT @@max_allowed_packet");
  if (!limit) return std::unexpected(limit.error());
  connection->state_->max_packet = limit->rows.front().Unsigned(0);
  return connection;
}

Result<Rows> MysqlConnection::Execute(std::string_view sql, std::span<const Param> params) {
  return state_->Run<Rows>(sql, params,
                           [&](MYSQL_STMT* statement, Call call) { return state_->Fetch(statement, sql, call); });
}

Result<void> MysqlConnection::ForEach(std::string_view sql, std::span<const Param> params,
                                      const std::function<void(const RowView&)>& take) {
  return state_->Run<void>(
      sql, params, [&](MYSQL_STMT* statement, Call call) { return state_->FetchEach(statement, sql, call, take); });
}

Result<void> MysqlConnection::ExecuteScript(std::string_view sql) {
  if (auto usable = state_->Usable(); !usable) return usable;
  if (mysql_set_server_option(state_->handle, MYSQL_OPTION_MULTI_STATEMENTS_ON) != 0) {
    return state_->Failure(sql, Call::kRead);
  }
  const Call call = state_->in_transaction ? Call::kTransactional : Call::kAutocommitted;
  Result<void> done = state_->Query(sql, call);
  if (done) done = state_->DropResults(sql, call);
  if (state_->healthy && mysql_set_server_option(state_->handle, MYSQL_OPTION_MULTI_STATEMENTS_OFF) != 0) {
    state_->healthy = false;
  }
  return done;
}

Result<void> MysqlConnection::Begin() {
  if (auto usable = state_->Usable(); !usable) return usable;
  if (state_->in_transaction) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("{}: a transaction is already open on this connection", state_->where));
  }
  if (auto begun = state_->Query("START TRANSACTION", Call::kRead); !begun) return begun;
  state_->in_transaction = true;
  return {};
}

Result<void> MysqlConnection::Commit() {
  if (!state_->in_transaction) {
    return Fail(ErrorCode::kInvalid, fmt::format("{}: no transaction is open on this connection", state_->where));
  }
  if (auto usable = state_->Usable(); !usable) return usable;
  auto committed = state_->Query("COMMIT", Call::kCommit);
  if (committed) state_->in_transaction = false;
  return committed;
}

void MysqlConnection::Rollback() {
  if (state_->in_transaction && state_->healthy && !state_->Query("ROLLBACK", Call::kTransactional)) {
    state_->healthy = false;
  }
  state_->in_transaction = false;
  state_->doom.reset();
}

bool MysqlConnection::in_transaction() const { return state_->in_transaction; }
bool MysqlConnection::healthy() const { return state_->healthy; }
bool MysqlConnection::read_only() const { return state_->read_only; }

Result<void> MysqlConnection::Ping() {
  if (auto usable = state_->Usable(); !usable) return usable;
  if (mysql_ping(state_->handle) != 0) {
    auto failure = state_->Failure("", Call::kRead);
    state_->healthy = false;
    return failure;
  }
  return {};
}

bool MysqlConnection::HasNews() const {
  pollfd socket{static_cast<int>(state_->handle->net.fd), POLLIN, 0};
  return poll(&socket, 1, 0) != 0;
}

Flavor MysqlConnection::flavor() const { return state_->flavor; }
std::string MysqlConnection::server_version() const { return mysql_get_server_info(state_->handle); }

std::string Placeholders(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "?" : ", ?";
  return text;
}

std::string PlaceholderRows(std::size_t rows, std::size_t columns) {
  const std::string row = "(" + Placeholders(columns) + ")";
  std::string text;
  for (std::size_t i = 0; i < rows; ++i) text += (i == 0 ? "" : ", ") + row;
  return text;
}

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "`";
  for (const char c : name) quoted += c == '`' ? std::string("``") : std::string(1, c);
  return quoted + "`";
}

}  // namespace outrider::mysql
