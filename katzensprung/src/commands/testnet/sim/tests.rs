use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    sim: Sim,
}

#[test]
fn the_line_of_a_failure_replays_it() {
    let sim = Line::try_parse_from(["sim", "--seeds", "9", "--epochs", "30", "--calm"]).unwrap().sim;
    let text = replay(&sim, &Failure { seed: 7, step: 5, what: "a\nb".into() });
    assert!(text.starts_with("FAILED seed 7 at step 5: a b; ") && !text.contains('\n'), "{text}");
    let (_, command) = text.split_once("testnet ").unwrap();
    let again = Line::try_parse_from(command.split(' ')).unwrap().sim;
    assert_eq!((again.seed, again.seeds, again.epochs, again.calm), (Some(7), None, 30, true));
}
