use super::command::GoLine;
use super::contest::{Outcome, Round, collect};
use super::limits::{Limit, Verdict, against_command, limit};
use super::report::{CommandLine, Line, Report, number};
use super::*;
use crate::peers::implementations::Implementation;
use crate::statistics::Figure;
use crate::subjects::Subject;
use std::time::Duration;

fn row(measure: Measure, size: usize, batch: usize) -> Row {
    Row { measure, size, batch }
}

fn case(label: &str) -> &'static Case {
    CASES.iter().find(|case| case.label == label).expect("a case of that name")
}

fn unwrap(label: &str) -> Measure {
    Measure::Unwrap(case(label))
}

fn go_line(name: &str, ns: f64) -> GoLine {
    GoLine { name: name.into(), ns }
}

fn outcome(ours_ns: f64, peer_ns: Option<f64>, width_min: f64) -> Outcome {
    let exactly = |median| Figure { median, spread: 0.0 };
    Outcome {
        ours_ns: Figure { median: ours_ns, spread: 0.2 },
        floor_ns: Some(exactly(ours_ns / 2.0)),
        peer_ns: peer_ns.map(|ns| ("aws-lc", exactly(ns))),
        ratio: peer_ns.map(|ns| exactly(ns / ours_ns)),
        ghz: 4.0,
        width: 4.5,
        width_min,
        disturbed: false,
        rounds: 25,
    }
}

fn report(lines: Vec<Line>, against_command: Vec<CommandLine>) -> Report {
    let host = Host {
        cpu: "CPU, family 1 model 2".into(),
        processors: 2,
        date: "2026-11-24".into(),
        level: "avx2",
        best_level: "avx512",
        ghz: 4.0,
        full_width: 4.6,
        rustc: "rustc 1.95.0",
    };
    Report { host, lines, against_command }
}

fn round(width: f64, cpu_share: f64, ours: f64) -> Round {
    Round { ours, floor: None, peer: None, ghz: 4.0, width, cpu_share }
}

#[test]
fn disturbed_rounds_are_tried_again_and_left_out() {
    let mut made = 0;
    let rounds = collect(6, 4.0, || {
        made += 1;
        match made % 4 {
            0 => round(2.4, 1.0, 20.0),
            1 => round(4.6, 0.5, 30.0),
            _ => round(4.5, 1.0, 10.0),
        }
    });
    assert_eq!(made, 11);
    assert_eq!(rounds.len(), 6);
    assert!(rounds.iter().all(|round| round.ours == 10.0));
}

#[test]
fn a_busy_neighbour_ends_the_attempts_and_shows() {
    let mut made = 0;
    let rounds = collect(5, 4.0, || {
        made += 1;
        match made {
            3 => round(4.5, 0.3, 1.0),
            7 => round(4.4, 1.0, 1.0),
            _ => round(2.0 + f64::from(made) / 100.0, 1.0, 1.0),
        }
    });
    assert_eq!(made, 20, "a bounded number of attempts");
    let widths: Vec<f64> = rounds.iter().map(|round| round.width).collect();
    assert_eq!(widths, [4.4, 4.5, 2.2, 2.19, 2.18], "the widest, after those that count");
}

#[test]
fn go_benchmark_lines() {
    let parse = command::parse_line;
    let line = parse("BenchmarkSphinxUnwrap/X25519_NIKE-2         1000    233500 ns/op    8000 B/op   86 allocs/op");
    assert_eq!(line, Some(go_line("X25519_NIKE", 233_500.0)));
    let label = |name: &str| go_line(name, 1.0).case().map(|case| case.label);
    assert_eq!(label("X25519_NIKE"), Some("X25519 NIKE"));
    assert_eq!(label("Xwing_KEM"), Some("Xwing KEM"));
    assert_eq!(label("MLKEM768-X25519_KEM"), Some("MLKEM768-X25519 KEM"));
    assert_eq!(label("CTIDH512_PQ_NIKE"), None);
    let line = parse("BenchmarkUnwrap/MLKEM768-X25519_KEM 5 0.25 ns/op").expect("one processor has no suffix");
    assert_eq!((line.name.as_str(), line.ns), ("MLKEM768-X25519_KEM", 0.25));
    let line = parse("BenchmarkSeal-8 300 12.5 MB/s 91.25 ns/op").expect("other units may come first");
    assert_eq!((line.name.as_str(), line.ns), ("Seal", 91.25));
    for other in [
        "",
        "PASS",
        "goos: linux",
        "BenchmarkSphinxUnwrap/X25519_NIKE",
        "BenchmarkSphinxUnwrap/X25519_NIKE 1000",
        "BenchmarkSphinxUnwrap/X25519_NIKE 1000 12 B/op",
        "BenchmarkSphinxUnwrap/X25519_NIKE many 12 ns/op",
        "BenchmarkSphinxUnwrap/X25519_NIKE 1000 NaN ns/op",
        "BenchmarkSphinxUnwrap/X25519_NIKE 1000 0 ns/op",
        "ok   sphinx   1.5s 12 ns/op",
    ] {
        assert_eq!(parse(other), None, "{other}");
    }
}

#[test]
fn commands_that_fail_or_say_nothing_are_errors() {
    let run = command::run("echo 'BenchmarkA/X448_KEM 10 500 ns/op'; echo PASS").expect("a benchmark");
    assert_eq!(run, command::Run { lines: vec![go_line("X448_KEM", 500.0)], cpu_share: None });
    let error = command::run("echo 'BenchmarkA/Other 10 500 ns/op'").expect_err("nothing of ours");
    assert!(error.contains("[Other]"), "{error}");
    let error = command::run("exit 3").expect_err("a failure");
    assert!(error.contains('3'), "{error}");
}

#[test]
fn a_command_without_a_processor_is_not_slow() {
    let run = command::run("sleep 0.6; echo 'BenchmarkA/X448_KEM 10 500 ns/op'").expect("a benchmark");
    assert!(run.cpu_share.is_some_and(|share| share < 0.5), "{run:?}");
    let of = |cpu_share| {
        let lines = [400.0, 9_000.0, 600.0].map(|ns| go_line("X448_KEM", ns));
        command::Run { lines: lines.into(), cpu_share }.ns_of(case("X448 KEM"))
    };
    assert_eq!([of(None), of(Some(0.97)), of(Some(1.8)), of(Some(0.5))], [600.0, 600.0, 600.0, 300.0].map(Some));
    assert_eq!(run.ns_of(case("X448 NIKE")), None);
}

#[test]
fn turns_are_compared_one_by_one() {
    let turn = |theirs, ours| Turn {
        theirs: command::Run { lines: vec![go_line("X25519_NIKE", theirs)], cpu_share: Some(0.99) },
        ours: vec![(case("X25519 NIKE"), outcome(ours, None, 4.5))],
    };
    // The machine was half as fast in the second turn; in the third something disturbed theirs.
    let turns = [turn(300.0, 10.0), turn(600.0, 20.0), turn(900.0, 10.0)];
    let line = command_line(case("X25519 NIKE"), &turns, Level::Avx512).expect("a case of all turns");
    assert_eq!((line.ratio, line.other_ns, line.outcome.ours_ns.median), (30.0, 600.0, 10.0));
    assert_eq!(line.verdict(), Some(Verdict::Met));
    assert!(command_line(case("X448 NIKE"), &turns, Level::Avx512).is_none());
}

#[test]
fn each_class_has_its_limits() {
    let nike = row(unwrap("X25519 NIKE"), 2_000, 32);
    let must = |row: &Row, level| match limit(row, level) {
        Some(Limit::Ratio { must, .. } | Limit::CyclesPerByte { must }) => Some(must),
        None => None,
    };
    let at = |row: Row| Level::ALL.map(|level| must(&row, level));
    assert_eq!(at(nike), [None, Some(2.45), Some(2.45), Some(4.5)]);
    assert_eq!(at(row(Measure::X25519, 0, 4)), [None, Some(2.2), Some(2.2), None]);
    assert_eq!(at(row(Measure::X25519, 0, 8)), [None, None, None, Some(4.3)]);
    assert_eq!(at(row(Measure::Aez, 2_000, 1)), [None, None, Some(0.42), Some(0.36)]);
    assert_eq!(at(row(Measure::Aez, 30_000, 1)), [None; 4]);
    assert_eq!(at(row(Measure::X448, 0, 1)), [None, Some(0.95), Some(0.95), Some(0.95)]);
    assert_eq!(at(row(Measure::Seal, 32_768, 1)), [None, Some(1.0), Some(1.0), Some(1.3)]);
    assert_eq!(at(row(Measure::Seal, 64, 1)), [None; 4]);
    assert_eq!(at(row(Measure::LinkFrame, 3_072, 1)), [None, Some(1.0), Some(1.0), None]);
    assert_eq!(at(row(Measure::UnwrapBeside(Implementation::Nym), 2_000, 32)), [None; 4]);
    let command = |label| Level::ALL.map(|level| against_command(label, level).is_some());
    assert_eq!(command("Xwing KEM"), [false, true, true, true]);
    assert_eq!(command("X448 KEM"), [false; 4]);
}

#[test]
fn verdicts() {
    let ratio = Limit::Ratio { must: 2.0, aim: Some(3.0) };
    assert_eq!(ratio.verdict(Some(3.0), None), Verdict::Aim);
    assert_eq!(ratio.verdict(Some(2.0), None), Verdict::Met);
    assert_eq!(ratio.verdict(Some(1.999), None), Verdict::Missed, "shown as 2.00");
    assert_eq!(ratio.verdict(Some(2.999), None), Verdict::Met, "shown as 3.00");
    assert_eq!(ratio.verdict(None, Some(0.1)), Verdict::Missed);
    let bytes = Limit::CyclesPerByte { must: 0.36 };
    assert_eq!(bytes.verdict(None, Some(0.36)), Verdict::Met);
    assert_eq!(bytes.verdict(Some(9.0), Some(0.3601)), Verdict::Missed);
}

#[test]
fn json_has_its_fields() {
    let nike = row(unwrap("X25519 NIKE"), 2_000, 32);
    let lines = vec![
        Line { row: nike, outcome: outcome(10.0, Some(20.0), 4.5), limit: limit(&nike, Level::Avx2) },
        Line { row: row(Measure::Aez, 2_000, 1), outcome: outcome(500.0, None, 2.4), limit: None },
        Line { row: row(Measure::X25519, 0, 8), outcome: outcome(3.0, Some(15.0), 4.5), limit: None },
    ];
    let text = report(lines, Vec::new()).to_json().expect("numbers and names");
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("one object per line")).collect();
    for row in &rows {
        for field in ["name", "scheme", "level", "batch", "ns", "cycles", "peer", "peer_ns", "ratio", "width"] {
            assert!(row.get(field).is_some(), "{field} in {row}");
        }
    }
    assert_eq!((&rows[0]["name"], &rows[0]["scheme"]), (&"unwrap".into(), &"X25519 NIKE".into()));
    assert_eq!((&rows[0]["payload_bytes"], rows[0].get("bytes")), (&2_000.into(), None));
    assert_eq!((&rows[0]["ratio"], &rows[0]["missed"], &rows[0]["must"]), (&2.0.into(), &true.into(), &2.45.into()));
    assert_eq!((&rows[1]["bytes"], rows[1].get("payload_bytes")), (&2_000.into(), None));
    assert_eq!((&rows[1]["cycles"], &rows[1]["cycles_per_byte"]), (&2_000.0.into(), &1.0.into()));
    assert_eq!((&rows[1]["disturbed"], &rows[1]["peer"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!((rows[2].get("bytes"), rows[2].get("payload_bytes")), (None, None));
}

#[test]
fn markdown_shows_what_is_missed_and_disturbed() {
    let nike = row(unwrap("X25519 NIKE"), 2_000, 32);
    let line =
        |ours, width| Line { row: nike, outcome: outcome(ours, Some(20.0), width), limit: limit(&nike, Level::Avx2) };
    let missed = report(vec![line(5.0, 4.5), line(10.0, 2.4)], Vec::new());
    assert!(missed.is_missed());
    let text = missed.to_markdown();
    assert!(text.contains("NOT RUN ON AVX-512"), "{text}");
    assert!(text.contains("Forced on a processor that has `avx512`"), "{text}");
    assert!(text.contains("| 5.0 ±10 % | 20.0 |  | 2.5 | aws-lc | 20.0 | 4.00 | >= 2.4, 3 | aim | 4.50 |"), "{text}");
    assert!(text.contains("| 2.00 | >= 2.4, 3 | MISSED | 4.50 ! |"), "{text}");
    let met = report(vec![line(5.0, 4.5)], Vec::new());
    assert!(!met.is_missed());

    let against = CommandLine {
        row: nike,
        outcome: outcome(1_000.0, None, 4.5),
        other_ns: 16_000.0,
        other_cpu_share: Some(0.994),
        ratio: 16.0,
        limit: against_command("X25519 NIKE", Level::Avx2),
    };
    let report = report(Vec::new(), vec![against]);
    assert!(report.is_missed());
    assert!(report.to_markdown().contains("| 1,000 ±10 % | 16,000 | 0.99 | 16.0 | >= 17 | MISSED |"));
    assert_eq!(report.to_json().expect("numbers and names").lines().count(), 1);
}

#[test]
fn numbers_for_people() {
    assert_eq!([0.25, 99.94, 100.0, 1_234.5, 1_234_567.0].map(number), ["0.2", "99.9", "100", "1,234", "1,234,567"]);
}

#[test]
fn a_section_is_replaced_or_appended() {
    let first = section::replace("# Results\n", "avx2", "old\n").expect("a new section");
    assert_eq!(first, "# Results\n\n<!-- table avx2 -->\nold\n\n<!-- end of table avx2 -->\n");
    let both = section::replace(&(first + "after\n"), "avx2+vaes", "other").expect("another new section");
    let text = section::replace(&both, "avx2", "new").expect("the old section");
    assert!(text.contains("-->\nnew\n\n<!-- end") && !text.contains("old"), "{text}");
    assert!(text.contains("after\n") && text.contains("other"), "{text}");
    assert!(section::replace("<!-- table avx2 -->\n", "avx2", "new").is_err());
    assert!(section::replace("<!-- end of table avx2 -->\n<!-- table avx2 -->\n", "avx2", "new").is_err());
}

#[test]
fn rows_are_chosen_by_their_titles() {
    let titles = |only: &[&str]| {
        let only: Vec<String> = only.iter().map(|text| (*text).into()).collect();
        chosen(&only).map(|rows| rows.iter().map(title).collect::<Vec<_>>())
    };
    assert_eq!(titles(&["unwrap XWING KEM 2000 batch 32"]), Ok(vec!["unwrap Xwing KEM 2000 batch 32".into()]));
    assert_eq!(titles(&["aez 2000", "hkdf"]).map(|titles| titles.len()), Ok(3));
    assert_eq!(titles(&[]).map(|titles| titles.len()), Ok(measures::table_rows().len()));
    let error = titles(&["aez", "nothing"]).expect_err("an unknown row");
    assert!(error.contains("\"nothing\"") && error.contains("mlkem768_decapsulate"), "{error}");
}

#[test]
fn every_row_runs() {
    for row in measures::table_rows().into_iter().filter(|row| row.batch <= 4) {
        let mut contest = Contest::new(&row).unwrap_or_else(|error| panic!("{}: {error}", title(&row)));
        let run = |subject: &mut dyn Subject| crate::subjects::time(subject, 2) > Duration::ZERO;
        assert!(run(&mut *contest.ours), "{}", title(&row));
        assert!(contest.peers.iter_mut().all(|peer| run(&mut *peer.subject)), "{}", title(&row));
        assert!(contest.floor.iter_mut().all(|floor| run(&mut **floor)), "{}", title(&row));
    }
}

#[test]
fn hosts_are_described() {
    let info = "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n";
    assert_eq!(host::cpu(info), "AMD EPYC, family 26 model 2");
    assert_eq!(host::cpu(""), "unknown, family unknown model unknown");
    assert!(host::processor(None).is_ok());
    assert!(host::processor(Some(usize::MAX)).is_err());
}
