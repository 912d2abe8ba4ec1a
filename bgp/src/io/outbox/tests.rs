//! Whatever the socket takes at a time: whole messages, each queue in its order, and the machine first.

use proptest::prelude::*;

use super::*;

/// A message of `len` octets that carries `tag` in its last octet.
fn message(len: usize, tag: u8) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    message.extend(u16::try_from(len).unwrap().to_be_bytes());
    message.resize(len, 2);
    *message.last_mut().unwrap() = tag;
    message
}

fn write(outbox: &mut Outbox, limit: usize, out: &mut Vec<u8>) -> usize {
    let offered = outbox.slices().iter().flat_map(|slice| slice.to_vec()).take(limit).collect::<Vec<_>>();
    out.extend(&offered);
    outbox.advance(offered.len())
}

#[test]
fn a_message_of_the_machine_waits_for_the_end_of_a_message_and_no_longer() {
    let mut outbox = Outbox::default();
    outbox.push_bulk([message(30, 1), message(30, 2)].concat().into());
    let mut out = Vec::new();
    assert_eq!(write(&mut outbox, 10, &mut out), 30, "a begun message counts whole");
    outbox.push_urgent(message(19, 3).into());
    assert_eq!(outbox.len(), 20 + 19 + 30);
    assert_eq!(write(&mut outbox, usize::MAX, &mut out), 30);
    assert_eq!(out, [message(30, 1), message(19, 3), message(30, 2)].concat());
    assert!(outbox.is_empty());
}

#[test]
fn last_words_are_the_begun_message_and_the_machines() {
    let mut outbox = Outbox::default();
    outbox.push_bulk([message(30, 1), message(30, 2)].concat().into());
    write(&mut outbox, 10, &mut Vec::new());
    outbox.push_urgent(message(21, 3).into());
    let words = outbox.last_words().flat_map(|bytes| bytes.to_vec()).collect::<Vec<_>>();
    assert_eq!(words, [message(30, 1)[10..].to_vec(), message(21, 3)].concat());
}

#[test]
fn messages_are_counted_and_a_broken_buffer_ends_the_walk() {
    assert_eq!(count_messages(&[message(19, 1), message(4096, 2), message(23, 3)].concat()), 3);
    assert_eq!(count_messages(&[0; 18]), 0);
    assert_eq!(count_messages(&[0; 100]), 5, "a length of 0 counts as a header");
    assert_eq!(message_boundary(&message(30, 1)[..25], 3), 25);
}

#[derive(Clone, Debug)]
enum Step {
    Urgent(usize),
    Bulk(Vec<usize>),
    Write(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (19..60usize).prop_map(Step::Urgent),
        2 => prop::collection::vec(19..200usize, 0..5).prop_map(Step::Bulk),
        4 => (0..300usize).prop_map(Step::Write),
    ]
}

proptest! {
    #[test]
    fn the_stream_is_whole_messages_in_order(steps in prop::collection::vec(step(), 0..60)) {
        let mut outbox = Outbox::default();
        let (mut out, mut credited, mut tag) = (Vec::new(), 0, 0u8);
        let (mut urgent, mut bulk) = (Vec::new(), Vec::new());
        let mut next = |len: usize, sent: &mut Vec<Vec<u8>>| {
            tag = tag.wrapping_add(1);
            sent.push(message(len, tag));
            message(len, tag)
        };
        for step in steps {
            match step {
                Step::Urgent(len) => outbox.push_urgent(next(len, &mut urgent).into()),
                Step::Bulk(lens) => {
                    let messages = lens.into_iter().flat_map(|len| next(len, &mut bulk)).collect::<Vec<_>>();
                    outbox.push_bulk(messages.into());
                }
                Step::Write(limit) => credited += write(&mut outbox, limit, &mut out),
            }
        }
        while !outbox.is_empty() {
            credited += write(&mut outbox, 1000, &mut out);
        }
        prop_assert_eq!(credited, bulk.iter().map(Vec::len).sum::<usize>());
        // Each message of the stream is the next one of either queue.
        let (mut urgent, mut bulk) = (urgent.into_iter().peekable(), bulk.into_iter().peekable());
        let mut rest = out.as_slice();
        while let Some(len) = message_len(rest) {
            let (message, after) = rest.split_at(len);
            let taken = urgent.next_if(|next| next == message).or_else(|| bulk.next_if(|next| next == message));
            prop_assert!(taken.is_some(), "not the next message of any queue");
            rest = after;
        }
        prop_assert!(rest.is_empty() && urgent.next().is_none() && bulk.next().is_none());
    }
}
