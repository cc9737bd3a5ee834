use super::*;
use vectors::verify;

fn bits(value: &serde_json::Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap_or_default(), 16).expect("binary64 in hex")
}

#[test]
fn logarithms_and_rates_are_those_of_go() {
    verify("pki_lambdag.json", "/cases/5/f64_bits", |file, tally| {
        for case in file["ln"].as_array().ok_or("no logarithms")? {
            let n = case["n"].as_u64().ok_or("no n")?;
            assert_eq!(ln(n as f64).to_bits(), bits(&case["ln_f64_bits"]), "ln {n}");
            tally.assert_case();
        }
        let rate = |name: &str| file["fallback_inputs"][name].as_f64().ok_or("no input");
        for case in file["cases"].as_array().ok_or("no cases")? {
            let number = |name: &str| case[name].as_u64().map(|number| number as usize).ok_or("no number");
            let (n, gateways) = (number("n")?, number("gateways")?);
            let mu = case["mu"].as_f64().ok_or("no mu")?;
            let got = crate::voting::tests::configuration_with(n, gateways, mu, rate("LambdaP")?, rate("LambdaL")?);
            assert_eq!(lambda_g(&got).to_bits(), bits(&case["f64_bits"]), "n {n}, {gateways} gateways, mu {mu}");
            tally.assert_case();
        }
        Ok(())
    });
}
