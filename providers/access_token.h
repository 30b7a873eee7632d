// Access tokens, as far as all vendors' are alike: for how long one is kept, and what an answer without one means.
// Pure.
#pragma once

#include <string_view>

#include "providers/provider.h"

namespace outrider::providers {

// `outcome`: the answer as the vendor's codes read it; `token_key` and `life_key` name the token and its life in whole
// seconds at the answer's top level. A token is used until three minutes before its end and renewed twenty minutes
// before that. An answer without one is never a message's fault, and nothing of it is kept but the vendor's words.
SupplyReading ReadAccessToken(SendOutcome outcome, const http::HttpResponse& response, std::string_view token_key,
                              std::string_view life_key);

}  // namespace outrider::providers
