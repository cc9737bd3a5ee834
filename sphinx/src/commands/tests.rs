use super::{CommandError, Commands, CommandsClass, NextNode, RoutingCommand};
use crate::testing::{array, same};
use vectors::hex;

#[test]
fn encodes_like_the_reference() {
    vectors::verify("sphinx_commands_vectors.json", "/NextHopCmdWant", |value, tally| {
        let delay_ms = value["NodeDelay"].as_u64().ok_or("not a number")? as u32;
        let cases = [
            ("NextHopCmdWant", next(array(&value["NextHopID"]), array(&value["NextHopMAC"]))),
            ("RecipientCmdWant", RoutingCommand::Recipient(array(&value["RecipientID"]))),
            ("SURBReplyCmdWant", RoutingCommand::SurbReply(array(&value["SURBReplyID"]))),
            ("NodeDelayCmdWant", RoutingCommand::NodeDelay { delay_ms }),
        ];
        for (field, command) in cases {
            let expected = hex(&value[field]);
            same(field, &command.to_bytes(), &expected)?;
            same(field, &RoutingCommand::parse_list(&expected), &Ok(vec![command]))?;
            tally.assert_case();
        }
        Ok(())
    });
}

fn next(id: [u8; 32], mac: [u8; 32]) -> RoutingCommand {
    RoutingCommand::NextNode(NextNode { id, mac })
}

fn parse(commands: &[RoutingCommand]) -> Result<Commands, CommandError> {
    Commands::parse(&commands.iter().flat_map(RoutingCommand::to_bytes).collect::<Vec<u8>>())
}

const DELAY: RoutingCommand = RoutingCommand::NodeDelay { delay_ms: 7 };
const RECIPIENT: RoutingCommand = RoutingCommand::Recipient([5; 32]);
const SURB_REPLY: RoutingCommand = RoutingCommand::SurbReply([6; 16]);

#[test]
fn an_empty_list_is_fine() {
    assert_eq!(Commands::parse(&[]), Ok(Commands::default()));
    assert_eq!(Commands::parse(&[0]), Ok(Commands::default()));
    assert_eq!(Commands::parse(&[0; 82]), Ok(Commands::default()));
}

#[test]
fn null_ends_the_list_only_if_zeros_follow() {
    let mut bytes = DELAY.to_bytes();
    bytes.extend([0, 0, 0]);
    assert_eq!(Commands::parse(&bytes).map(|commands| commands.delay_ms), Ok(Some(7)));
    bytes.push(1);
    assert_eq!(Commands::parse(&bytes), Err(CommandError::Invalid));
}

#[test]
fn short_bodies_and_unknown_ids_are_invalid() {
    for command in [next([1; 32], [2; 32]), DELAY, RECIPIENT, SURB_REPLY] {
        let bytes = command.to_bytes();
        for length in 1..bytes.len() {
            assert_eq!(Commands::parse(&bytes[..length]), Err(CommandError::Invalid), "{command:?} {length}");
        }
    }
    for id in (0x04..0x80).chain(0x81..=0xff) {
        assert_eq!(Commands::parse(&[id; 82]), Err(CommandError::Invalid));
        assert_eq!(Commands::parse(&[id]), Err(CommandError::Invalid));
    }
}

#[test]
fn duplicates_count_in_reading_order() {
    let next = next([1; 32], [2; 32]);
    assert_eq!(parse(&[next, DELAY, next]), Err(CommandError::DuplicateNextNode));
    assert_eq!(parse(&[SURB_REPLY, SURB_REPLY]), Err(CommandError::DuplicateSurbReply));
    let repeated = parse(&[DELAY, RECIPIENT, RoutingCommand::NodeDelay { delay_ms: 9 }]).expect("accepted");
    assert_eq!((repeated.delay_ms, repeated.repeated, repeated.class()), (Some(7), true, None));
}

#[test]
fn classes_need_exactly_their_commands() {
    let class = |commands: &[RoutingCommand]| parse(commands).expect("accepted").class();
    let next = next([1; 32], [2; 32]);
    assert_eq!(class(&[next, DELAY]), Some(CommandsClass::Forward));
    assert_eq!(class(&[DELAY, RECIPIENT]), Some(CommandsClass::ToUser));
    assert_eq!(class(&[SURB_REPLY, RECIPIENT]), Some(CommandsClass::SurbReply));
    for commands in [&[next][..], &[RECIPIENT], &[next, DELAY, RECIPIENT], &[DELAY, RECIPIENT, SURB_REPLY], &[]] {
        assert_eq!(class(commands), None, "{commands:?}");
    }
}
