//! Whatever a server says, nothing panics.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::Message;

use super::{
    SqlError, next_message,
    rows::{Rows, columns},
};

/// Numbers that look random and are the same each time.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        faultd_abi::splitmix64(self.0, 7)
    }

    /// Bytes, of which many are small: lengths and counts that nearly fit.
    fn bytes(&mut self) -> Vec<u8> {
        let length = self.next() % 48;
        let byte = |draw: u64| if draw.is_multiple_of(3) { draw >> 8 } else { (draw >> 8) % 4 };
        (0..length).map(|_| byte(self.next()) as u8).collect()
    }
}

#[test]
fn messages_of_any_bytes() {
    let mut draw = Draw(0);
    let tags = b"123AcCDdEGHIKNnRsStTZ?";
    let mut parsed = 0;
    for _ in 0..50_000 {
        let tag = tags[draw.next() as usize % tags.len()];
        let body = draw.bytes();
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        let mut input = BytesMut::from(&[&[tag][..], &length, &body].concat()[..]);
        let Ok(Some(message)) = next_message(&mut input) else { continue };
        parsed += 1;
        match message {
            Message::ErrorResponse(body) => drop(SqlError::read(&body)),
            Message::RowDescription(body) => drop(columns(&body)),
            Message::CommandComplete(body) => drop(body.tag().is_ok()),
            Message::AuthenticationSasl(body) => {
                drop(body.mechanisms().any(|name| Ok(name.is_empty())));
            }
            Message::DataRow(body) => {
                let mut announced = BytesMut::from(&b"T\0\0\0\x22\0\x01a\0"[..]);
                announced.extend_from_slice(&[0; 18]);
                announced[4] = u8::try_from(announced.len() - 1).unwrap();
                let Ok(Some(Message::RowDescription(one))) = next_message(&mut announced) else {
                    panic!("a description of one column");
                };
                let mut rows = Rows::new(true, 1000);
                drop(rows.add(&columns(&one).unwrap(), &body));
            }
            _ => {}
        }
    }
    assert!(parsed > 10_000, "{parsed}");
}

#[test]
fn lengths_that_no_message_has() {
    for wrong in [&b"D\0\0\0\x03"[..], b"D\xff\xff\xff\xff", b"D\x7f\xff\xff\xff", b"HTTP/1.1"] {
        assert!(next_message(&mut BytesMut::from(wrong)).is_err(), "{wrong:?}");
    }
    assert!(matches!(next_message(&mut BytesMut::from(&b"D\0\0"[..])), Ok(None)));
}
