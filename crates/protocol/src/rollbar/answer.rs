//! What Rollbar's clients want to hear: JSON with `err`, always. Without it they take an answer for a fault of the network.

use notice::NoticeId;
use serde_json::json;

/// The answer to an item that was accepted, with status 200. The uuid is the client's own where it has one. It stands outside as well,
/// where whoever looks for the id of a notice looks first.
pub fn accepted(uuid: &str) -> String {
    json!({"err": 0, "id": uuid, "result": {"id": null, "uuid": uuid}}).to_string()
}

/// The answer to a deploy that was recorded, with status 200. Scripts put the number into the address at which they tell what became of it.
pub fn deployed(id: &NoticeId) -> String {
    json!({"err": 0, "data": {"deploy_id": deploy_number(id)}}).to_string()
}

/// The answer to what became of the deploy with this number, with status 200.
pub fn deploy_updated(number: &str) -> String {
    let number = number.parse::<u64>().map_or_else(|_| number.into(), serde_json::Value::from);
    json!({"err": 0, "result": {"id": number}}).to_string()
}

/// Rollbar's numbers are read by scripts for which a number is a double: the first 53 bits of the id, which are its time.
fn deploy_number(id: &NoticeId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 11
}

/// The answer to what was refused.
pub fn refused(message: &str) -> String {
    json!({"err": 1, "message": message}).to_string()
}
