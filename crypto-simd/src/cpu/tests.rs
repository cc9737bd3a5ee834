use super::*;

#[test]
fn every_level_is_listed() {
    for level in Level::ALL {
        let tested = if level.is_here() { "tested" } else { "NOT TESTED ON THIS HOST" };
        println!("level {level}: {tested}");
        assert_eq!(level.name().to_uppercase().parse(), Ok(level));
    }
    assert!(Level::Portable.is_here() && detect().is_here());
}

#[test]
fn a_bad_value_is_a_clear_error() {
    assert_eq!(choose(Some("sse9")), Err(LevelError::Unknown("sse9".into())));
    assert!(choose(Some("sse9")).unwrap_err().to_string().contains("KATZENSPRUNG_SIMD"));
    assert_eq!(choose(Some("portable")), Ok(Level::Portable));
    assert_eq!(choose(None), Ok(detect()));
    for level in Level::ALL.into_iter().filter(|level| !level.is_here()) {
        assert_eq!(choose(Some(level.name())), Err(LevelError::Lacking { asked: level, best: detect() }));
    }
}
