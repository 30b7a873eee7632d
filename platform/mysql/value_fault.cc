#include "platform/mysql/value_fault.h"

#include <algorithm>
#include <array>

namespace outrider::mysql {

bool BlamesValue(const Error& error) {
  static constexpr auto kCodes =
      std::to_array<int>({1048, 1118, 1153, 1260, 1264, 1265, 1292, 1300, 1301, 1366, 1367, 1406, 1411, 1425, 1441,
                          1690, 1713, 3140, 3141, 3144, 3146, 3150, 3151, 3157, 3819, 3903, 4025, 4037, 4038});
  return error.code == ErrorCode::kInvalid && std::ranges::find(kCodes, error.native_code) != kCodes.end();
}

}  // namespace outrider::mysql
