//! Whatever a file holds, it is taken or refused with a place.

use super::*;

/// Every error has a place inside of the text, and one line of message.
fn has_a_place(text: &str) {
    let Err(error) = load_text(text) else { return };
    let LoadError::Invalid(invalid) = error else { panic!("{error}") };
    let lines = text.lines().count() as u32 + 1;
    assert!((1..=lines.max(1)).contains(&invalid.place.line), "{:?} in {text:?}", invalid.place);
    assert!(
        !invalid.message.is_empty() && !invalid.message.contains('\n'),
        "{:?}",
        invalid.message
    );
}

#[test]
fn cut_anywhere() {
    for at in 0..SMALL.len() {
        has_a_place(&SMALL[..at]);
        has_a_place(&SMALL[at..]);
    }
}

#[test]
fn a_word_in_the_place_of_another() {
    let words: Vec<&str> = SMALL.split_whitespace().collect();
    let odd = ["{", "[]", "-1", "null", "${", "{{", "1e999", "\"", "&a", "*a", "ü", "name:", "- -"];
    for word in &words {
        for other in words.iter().chain(&odd) {
            has_a_place(&SMALL.replacen(word, other, 1));
        }
    }
}

#[test]
fn odd_characters_anywhere() {
    for at in 0..=SMALL.len() {
        for odd in ["\t", "\0", "\u{2028}", ":", "'", "\r\n", "  - "] {
            has_a_place(&format!("{}{odd}{}", &SMALL[..at], &SMALL[at..]));
        }
    }
}
