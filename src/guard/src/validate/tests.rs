//! Published sample numbers are accepted; with one digit changed, they are not.

use super::Validator::{self, *};

/// Validator, samples, and of a hundred changes of one digit, how many may be accepted: none where the
/// check finds every such error, more where it cannot (two digits that count alike, a second form).
#[rustfmt::skip]
const SAMPLES: &[(Validator, &[&str], u32)] = &[
    (Card, &["4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "30569309025904", "3530111333300000", "2223000048400011", "6759649826438453"], 0),
    (AbaRouting, &["121042882", "071101307", "021000021"], 0),
    (UsNpi, &["1234567893", "1003000126"], 0),
    (UsDea, &["AB1234563"], 5),
    (Vin, &["1M8GDM9AXKP042788", "5GZCZ43D13S812715"], 0),
    (NoFnr, &["15108695088"], 0),
    (SePersonnummer, &["880320-0016", "198712202384"], 10),
    (SeOrgnr, &["556703-7485", "212000-0142"], 0),
    (DkCpr, &["211062-5629"], 0),
    (FiHetu, &["131052-308T", "020516C903K", "010594Y9032"], 0),
    (IsKennitala, &["120174-3399"], 3),
    (Baltic, &["37605030299", "33309240064"], 9),
    (LvPk, &["161175-19997"], 12),
    (AtSvnr, &["1237010180"], 2),
    (BeNrn, &["85073003328"], 4),
    (BgEgn, &["7523169263"], 3),
    (ChAhv, &["756.9217.0769.85"], 0),
    (CzRc, &["710319/2745"], 0),
    (DeTaxId, &["36574261809", "86095742719"], 0),
    (DeRvnr, &["15070649C103"], 3),
    (DeKvnr, &["M123456785", "B123456782"], 0),
    (DeDocument, &["C01X00T478", "T220001293"], 0),
    (DeVat, &["136695976"], 0),
    (EsNif, &["12345678Z", "1111111-G"], 0),
    (EsNie, &["X9613851N", "Y8063915-Z"], 0),
    (EsCif, &["J99216582"], 0),
    (FrNir, &["295109912611193"], 0),
    (GrAmka, &["01013099997"], 0),
    (GrAfm, &["094259216"], 3),
    (HrOib, &["33392005961"], 0),
    (HuTax, &["8071592153"], 0),
    (HuTaj, &["123456788"], 0),
    (IePps, &["6433435F", "6433435OA"], 0),
    (ItFiscal, &["RSSMRA85T10A562S"], 0),
    (ItVat, &["00743110157"], 0),
    (NlBsn, &["111222333", "941331490"], 0),
    (PlPesel, &["44051401458", "02070803628"], 0),
    (PlNip, &["8567346215"], 0),
    (PlRegon, &["192598184", "12345678512347"], 4),
    (PlIdCard, &["ABS123456"], 0),
    (PtNif, &["501964843"], 3),
    (RoCnp, &["1630615123457"], 3),
    (Emso, &["0101006500006"], 0),
    (SiTax, &["15012557"], 3),
    (TrTckn, &["17291716060", "10000000146"], 0),
    (UaRnokpp, &["1759013776"], 3),
    (UkNhs, &["9434765919", "4010232137"], 0),
    (UkUtr, &["1955839661"], 11),
    (RuInn, &["7707083893", "500100732259"], 4),
    (RuSnils, &["11223344595"], 0),
    (ArCuit, &["20055361682"], 0),
    (BrCpf, &["39053344705"], 2),
    (BrCnpj, &["16727230000197", "12ABC34501DE35"], 1),
    (CaSin, &["130692544"], 0),
    (ClRut, &["12531909-2"], 0),
    (CoNit, &["2131234321"], 6),
    (EcCedula, &["1714307103"], 0),
    (MxCurp, &["BOXW310820HNERXN09"], 6),
    (MxRfc, &["GODE561231GR8"], 0),
    (PeRuc, &["20512333797"], 3),
    (UyCi, &["12345672"], 6),
    (CnId, &["11010519491231002X"], 0),
    (HkId, &["A123456(3)"], 0),
    (IlId, &["039337423"], 0),
    (InAadhaar, &["234123412346", "312345678909"], 0),
    (InGstin, &["27AAPFU0939F1ZV"], 0),
    (JpMyNumber, &["123456789018"], 3),
    (KrBrn, &["1048656659"], 3),
    (SgNric, &["S1234567D", "G1234567X"], 0),
    (ThId, &["1234567890121"], 16),
    (TwId, &["A123456789"], 9),
    (SaId, &["1058529932"], 0),
    (AuTfn, &["123456782", "876543210"], 0),
    (AuAbn, &["83914571673", "51824753556"], 0),
    (AuAcn, &["004085616", "005499981"], 10),
    (NzIrd, &["49091850"], 3),
    (ZaId, &["7503305044089", "8001015000086"], 0),
    (Base58check, &["16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"], 0),
    (Bech32, &["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"], 0),
];

/// Every text that differs from `sample` in one digit.
fn changed(sample: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (at, old) in sample.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
        for digit in ('0'..='9').filter(|d| *d != old) {
            let mut text = sample.to_owned();
            text.replace_range(at..=at, &digit.to_string());
            all.push(text);
        }
    }
    all
}

#[test]
fn samples_are_accepted_and_changed_digits_are_not() {
    let mut wrong = Vec::new();
    for (validator, samples, allowed) in SAMPLES {
        for sample in *samples {
            if validator.accept(sample) != Some(sample.len()) {
                wrong.push(format!("{validator:?} refuses {sample}"));
            }
            let all = changed(sample);
            let passed = all.iter().filter(|t| validator.accept(t).is_some()).count();
            if passed * 100 > all.len() * *allowed as usize {
                wrong.push(format!(
                    "{validator:?} accepts {passed} of {} changes of {sample}",
                    all.len()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_validator_panics_on_any_short_text() {
    let texts = [
        "",
        "0",
        "A",
        "é",
        "é0",
        "-",
        "999999999999999999999",
        "ZZZZZZZZZZZZZZZZZZZZ",
        "0x",
        "[[",
        "１２３",
        "00/00",
        "::/",
        "+",
        "x1",
    ];
    for (validator, samples, _) in SAMPLES {
        for text in texts.iter().chain(*samples) {
            for end in text.char_indices().map(|(i, _)| i) {
                let _ = validator.accept(&text[..end]);
            }
            let _ = validator.accept(text);
        }
    }
}

#[test]
fn forms_without_a_sum_keep_to_their_ranges() {
    #[rustfmt::skip]
    let cases: &[(Validator, &[&str], &[&str])] = &[
        (Itin, &["911-70-1234", "999-88-1234"], &["911-89-1234", "811-70-1234"]),
        (Ein, &["12-3456789"], &["07-3456789", "123456"]),
        (Bic, &["DEUTDEFF", "NEDSZAJJXXX"], &["DEUTXXFF", "DEUTDEF"]),
        (Mac, &["01:23:45:67:89:ab", "0012.3456.789a"], &["01:23-45:67:89:ab", "00:00:00:00:00:00", "FF-FF-FF-FF-FF-FF"]),
        (BirthDate, &["11/22/2000", "1990-05-17", "March 3, 1984", "3 Mar 1984", "01.02.70"], &["40/40/2000", "13/13/2000", "1/1/1850"]),
        (LocalPhone, &["020 7946 0958", "(71) 4233-6306"], &["01-02-2024 10", "00 11 22 33", "078 05 1123", "01 02 03 04 05"]),
        (KrRrnDate, &["900101-1234568"], &["901301-1234568", "900101-9234568"]),
        (DkCprDate, &["211062-5628"], &["311362-5628"]),
        (UkNino, &["AB123456C"], &["BG123456C", "DA123456C"]),
        (InPan, &["ACUPA7085R"], &["ACUDA7085R"]),
        (IdNik, &["3171011708450001"], &["3171013209450001", "1011011708450001"]),
        (MyNric, &["770305-02-1234"], &["771305-02-1234"]),
        (AeId, &["784198012345678"], &["784198012345679", "785198012345678"]),
        (EgId, &["29001011234567"], &["19001011234567", "29013011234567"]),
        (AuMedicare, &["2123456701", "21234567011"], &["2123456801", "1123456701"]),
        (Eip55, &["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"], &["0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"]),
        (Base58check, &["rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L"], &["rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTg"]),
        (Ipv6, &["2001:db8::/32", "fe80::1%eth0", "::ffff:10.0.0.1"], &["2001::25de::cade", "::"]),
    ];
    for (validator, yes, no) in cases {
        for text in *yes {
            assert_eq!(validator.accept(text), Some(text.len()), "{validator:?} {text}");
        }
        for text in *no {
            assert!(validator.accept(text) != Some(text.len()), "{validator:?} {text}");
        }
    }
}

#[test]
fn what_follows_is_cut() {
    #[rustfmt::skip]
    let cases = [
        (Card, "4111 1111 1111 1111 12", Some("4111 1111 1111 1111")),
        (Card, "4111-1111-1111-1111 123", Some("4111-1111-1111-1111")),
        (Card, "4111 1111 1111 1112 123", None),
        (Card, "5018 0000 0009 1", None),
        (Ipv4, "10.0.0.5/42", Some("10.0.0.5")),
        (Ipv4, "10.0.0.0/8", Some("10.0.0.0/8")),
        (Ipv4, "0.0.0.0/42", None),
        (Email, "jane@example.com.pdf", Some("jane@example.com")),
        (Email, "jane@example.com-invoice.pdf", Some("jane@example.com")),
        (Email, "jane@example.com-invoice.2024.pdf", Some("jane@example.com")),
        (Email, "jane@example.com_", Some("jane@example.com")),
        (Email, "jane@example.photography", Some("jane@example.photography")),
        (Email, "jane@163.com.txt", Some("jane@163.com")),
        (Email, "jane@example.de.html", Some("jane@example.de")),
        (Email, "logo@2x.png", None),
        (Email, "icon@2x.min.js", None),
        (Email, "vue@3.4.es.js", None),
        (Email, "git@github.com", None),
        (E164, "+1.4806242599", Some("+1.4806242599")),
        (E164, "+52.520008", None),
        (E164, "+52.520008 13", None),
        (E164, "+350 000 000", None),
        (NationalPhone, "00493012345678", Some("00493012345678")),
        (NationalPhone, "1000000", None),
        (Nanp, "415 555 2671", Some("415 555 2671")),
        (Nanp, "415 600 1000", None),
        (Nanp, "415-600-1000", Some("415-600-1000")),
        (LocalPhone, "06 12 24 36 48", None),
        (LocalPhone, "06 12 34 56 78", Some("06 12 34 56 78")),
        (BirthDate, "1990年1月2日", Some("1990年1月2日")),
    ];
    for (validator, text, expected) in cases {
        let accepted = validator.accept(text).map(|end| &text[..end]);
        assert_eq!(accepted, expected, "{validator:?} {text}");
    }
}
