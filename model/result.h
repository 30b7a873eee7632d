// Result and Error: how a fault crosses a seam.
//
// An Error's code says what the caller may do next, nothing else; the message is for people: what is wrong, where, and
// what to do. Messages never hold secrets, message bodies or webhook URLs. Values; safe everywhere.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace outrider {

enum class ErrorCode {
  kInvalid,      // the input or the set-up is at fault: the same call will never succeed
  kUnavailable,  // nothing was changed: the same call may succeed later
  kUnknown,      // the call may or may not have taken effect: look before repeating it
  kConflict,     // somebody else was first: nothing was changed by this call
  kNotFound,     // what was named isn't there
};

struct Error {
  ErrorCode code;
  std::string message;
  int native_code = 0;  // the library's own number (MySQL errno, rd_kafka_resp_err_t), 0 when there is none
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> Fail(ErrorCode code, std::string message, int native_code = 0) {
  return std::unexpected<Error>(Error{code, std::move(message), native_code});
}

}  // namespace outrider
