// How private requests stand in Outrider's tables: sealed, under the first of the configured keys.
//
// A record's request is sealed for its dedupe key, the bytes of a rejected event for their place in the log, so what is
// copied elsewhere doesn't open. The recipient's and the content's hashes of private requests are keyed, because plain
// ones of phone numbers and short texts are found by trying. Pure functions; threads as the sealer's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "consumer/record.h"
#include "model/digest.h"
#include "model/event.h"
#include "model/request.h"
#include "platform/crypto/sealer.h"

namespace outrider::consumer {

// The reason of a private request that came while no key was configured.
inline constexpr std::string_view kNoSealingKey = "no_sealing_key";
// A record waits for a key that isn't configured (any more): this, and the key's id.
inline constexpr std::string_view kParkedBySealingKey = "sealing_key:";
inline constexpr std::string_view kRecipientMac = "hmac:";

struct SealedRequest {
  std::string key_id;
  std::string text;                    // base64, for the column `request`
  std::string recipient;               // "hmac:<key id>:<64 hex digits>", empty when there is none
  std::vector<Digest> content_hashes;  // under each key, the first key's first
};
// Nothing when there is no key.
std::optional<SealedRequest> SealRequest(const crypto::Sealer& sealer, const NotificationRequest& request,
                                         std::string_view request_json, const Digest& dedupe_hash,
                                         const Digest& content_hash);

// The request of a record that was read with it, in clear again. Else a record without its request (its bytes were
// changed), or, when the key isn't known, the change that parks it.
std::optional<Change> OpenRequest(Record& record, const crypto::Sealer* sealer);

// The text of a sealed record under the first key; nothing when it can't be opened or there is no key.
std::optional<std::string> SealAnew(const Record& record, const crypto::Sealer& sealer);

// The key that the record is parked for is known (again).
bool IsKeyThere(std::string_view parked_by, const crypto::Sealer* sealer);

// What a rejected event's bytes are sealed for.
std::string RejectedContext(const EventPosition& position);

// What stands in place of a private request that can't be sealed.
RequestFault LacksKey();
// Whether this event holds a private request and there is no key to seal it under.
bool LacksKey(const Event& event, const crypto::Sealer* sealer);

// Whether these bytes may be a private request, whatever is wrong with them: in doubt yes.
bool MayBePrivate(std::string_view value);
// Names of a private request's own stand for "*" in where its faults are.
void HideNames(std::vector<RequestFault>& faults);

}  // namespace outrider::consumer
