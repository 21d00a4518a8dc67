//! `jwt_value`: one claim of a token that nobody has verified (section 5.7).
//!
//! Neither header nor signature are looked at: what comes out is the client's own claim until a JWT
//! authenticator later in the chain has checked the token.

use super::{Args, Builtin, ErrorCode, Outcome, Scope, encoding::decode_base64url, json::value_at};

pub(super) const FUNCTIONS: &[Builtin] = &[Builtin::new("jwt_value", 2, 2, jwt_value)];

fn jwt_value<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let token = args.text(0)?;
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(ErrorCode::InvalidJwtToken);
    };
    let payload = decode_base64url(payload).ok_or(ErrorCode::JwtDecodeError)?;
    value_at(&payload, args.take(1))
}
