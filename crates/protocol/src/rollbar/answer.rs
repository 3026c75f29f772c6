//! What Rollbar's clients want to hear: JSON with `err`, always. Without it they take an answer for a fault of the network.

use serde_json::json;

/// The answer to an item that was accepted, with status 200. The uuid is the client's own where it has one. It stands outside as well,
/// where whoever looks for the id of a notice looks first.
pub fn accepted(uuid: &str) -> String {
    json!({"err": 0, "id": uuid, "result": {"id": null, "uuid": uuid}}).to_string()
}

/// The answer to what was refused.
pub fn refused(message: &str) -> String {
    json!({"err": 1, "message": message}).to_string()
}
