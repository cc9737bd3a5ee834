use super::*;

fn finding(line: Option<usize>, key: &str, remedy: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        code: "test",
        file: "/etc/katzenpost.toml".into(),
        line,
        key: key.into(),
        problem: "it is wrong".into(),
        remedy: remedy.into(),
    }
}

#[test]
fn a_finding_is_one_line() {
    assert_eq!(
        finding(Some(7), "Server.DataDir", "give an absolute path").to_string(),
        "error: /etc/katzenpost.toml:7: Server.DataDir: it is wrong; give an absolute path"
    );
    assert_eq!(finding(None, "", "").to_string(), "error: /etc/katzenpost.toml: it is wrong");
    let hostile = finding(Some(1), "a\nb\u{1b}[31m", "").to_string();
    assert!(!hostile.contains('\n') && !hostile.contains('\u{1b}'), "{hostile}");
}

#[test]
fn findings_come_in_the_order_of_the_file() {
    let mut findings = Findings::new(Path::new("x.toml"));
    findings.warning("late", &Place { line: Some(9), key: "b".into() }, "p", "r");
    findings.error("early", &Place { line: Some(2), key: "a".into() }, "p", "r");
    findings.warning("absent", &Place::absent("c"), "p", "r");
    assert!(findings.list.iter().any(|finding| finding.severity == Severity::Error));
    let codes: Vec<_> = findings.into_sorted().iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["absent", "early", "late"]);
}
