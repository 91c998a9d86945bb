//! Parts of addresses: what stands there as `%2F`.

/// A part of a path, with what is not plain written out.
#[cfg(feature = "hub")]
pub(super) fn encoded(part: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let write = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    part.bytes().map(write).collect()
}

/// What was written out, as text; none where that is no text.
pub(super) fn decoded(part: &str) -> Option<String> {
    let mut pieces = part.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_number)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "hub")]
    fn what_is_written_out_reads_back() {
        let written = encoded("a b/ü%~#");
        assert_eq!(written, "a%20b%2F%C3%BC%25~%23");
        assert_eq!(decoded(&written).unwrap(), "a b/ü%~#");
    }

    #[test]
    fn what_is_no_text_is_none() {
        for part in ["%", "%2", "%zz", "%+1", "%é", "%FF"] {
            assert_eq!(decoded(part), None, "{part}");
        }
    }
}
