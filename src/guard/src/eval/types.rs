//! Names of personal data: one per thing, whoever annotated it.
//!
//! Data sets and tools name the same thing differently (`IP_ADDRESS`, `IP`; `UK_NHS`, `GB_NHS`), and
//! typed figures mean little if they count the names. [`ALIASES`] says which names count as one; the
//! first of each line is the name that findings carry in verdict lines.

use std::borrow::Cow;

/// Names that mean the same, the one used first.
pub const ALIASES: &[&[&str]] = &[
    &["EMAIL", "EMAIL_ADDRESS"],
    &["PHONE", "PHONE_NUMBER", "TR_PHONE_NUMBER", "PH_MOBILE_NUMBER", "FAX"],
    &["IP", "IP_ADDRESS", "IPV4", "IPV6"],
    &["MAC", "MAC_ADDRESS"],
    &["CREDIT_CARD", "CARD", "CREDIT_CARD_NUMBER"],
    &["IBAN", "IBAN_CODE"],
    &["BIC", "SWIFT", "SWIFT_CODE", "BIC_CODE"],
    &["CRYPTO", "CRYPTO_WALLET", "CRYPTO_ADDRESS"],
    &["CRYPTO_BTC", "BTC_ADDRESS", "BITCOIN_ADDRESS"],
    &["CRYPTO_ETH", "ETH_ADDRESS", "ETHEREUM_ADDRESS"],
    &["VIN", "VEHICLE_ID"],
    &["DATE", "DATE_TIME"],
    &["DATE_OF_BIRTH", "BIRTH_DATE", "BIRTHDATE", "DOB"],
    &["ZIP", "ZIP_CODE", "POSTCODE", "POSTAL_CODE"],
    &["DOMAIN", "DOMAIN_NAME"],
    &["LOCATION", "GPE", "LOC"],
    &["ADDRESS", "STREET_ADDRESS"],
    &["PERSON", "NAME", "PER"],
    &["ORGANIZATION", "ORG", "ORGANISATION"],
    // America.
    &["US_SSN", "SSN"],
    &["US_ITIN", "ITIN"],
    &["US_EIN", "EIN"],
    &["US_PASSPORT", "US_PASSPORT_NUMBER"],
    &["US_DRIVER_LICENSE", "DRIVER_LICENSE", "US_DRIVERS_LICENSE"],
    &[
        "US_BANK_NUMBER",
        "US_BANK_ACCOUNT",
        "BANK_ACCOUNT",
        "BANK_ACCOUNT_NUMBER",
    ],
    &[
        "ABA_ROUTING_NUMBER",
        "US_ROUTING_NUMBER",
        "ROUTING_NUMBER",
        "US_ABA",
        "ABA_ROUTING",
    ],
    &["US_NPI", "NPI"],
    &["US_MBI", "MBI", "MEDICARE_ID"],
    &["MEDICAL_LICENSE", "US_DEA", "DEA_NUMBER"],
    &["CA_SIN", "SIN"],
    &["BR_CPF", "CPF"],
    &["BR_CNPJ", "CNPJ"],
    &["MX_CURP", "CURP"],
    &["MX_RFC", "RFC"],
    &["CL_RUT", "CL_RUN", "RUT"],
    &["AR_CUIT", "AR_CUIL", "CUIT"],
    // Europe.
    &["UK_NHS", "GB_NHS", "NHS", "NHS_NUMBER"],
    &["UK_NINO", "GB_NINO", "NINO"],
    &["UK_UTR", "GB_UTR", "UTR"],
    &["UK_PASSPORT", "GB_PASSPORT"],
    &[
        "UK_DRIVING_LICENCE",
        "GB_DRIVING_LICENCE",
        "UK_DRIVER_LICENSE",
        "GB_DRIVER_LICENSE",
        "UK_DRIVING_LICENSE",
    ],
    &["UK_POSTCODE", "GB_POSTCODE"],
    &["UK_VEHICLE_REGISTRATION", "GB_VEHICLE_REGISTRATION"],
    &["DE_TAX_ID", "DE_STEUER_ID", "DE_IDNR", "DE_STEUERID"],
    &["DE_SOCIAL_SECURITY", "DE_RVNR", "DE_SVNR"],
    &["DE_HEALTH_INSURANCE", "DE_KVNR"],
    &["DE_ID_CARD", "DE_PERSONALAUSWEIS"],
    &["DE_PASSPORT"],
    &["FR_NIR", "FR_INSEE", "FR_SSN"],
    &["ES_NIF", "ES_DNI"],
    &["ES_NIE"],
    &["IT_FISCAL_CODE", "IT_CODICE_FISCALE", "IT_CF"],
    &["IT_VAT_CODE", "IT_VAT", "IT_PARTITA_IVA"],
    &["IT_DRIVER_LICENSE", "IT_DRIVING_LICENCE"],
    &["IT_IDENTITY_CARD", "IT_ID_CARD"],
    &["PT_NIF"],
    &["NL_BSN", "BSN"],
    &["BE_NN", "BE_NATIONAL_NUMBER", "BE_RRN", "BE_NRN"],
    &["CH_AHV", "CH_AVS", "CH_SSN"],
    &["AT_SVNR", "AT_SSN"],
    &["DK_CPR", "CPR"],
    &["NO_FNR", "NO_FODSELSNUMMER", "NO_BIRTH_NUMBER"],
    &["SE_PERSONNUMMER", "SE_PNR"],
    &["SE_ORGANISATIONSNUMMER", "SE_ORGNR", "SE_ORG_NUMBER"],
    &["FI_HETU", "FI_PERSONAL_IDENTITY_CODE"],
    &["PL_PESEL", "PESEL"],
    &["PL_NIP"],
    &["PL_REGON"],
    &["CZ_RC", "CZ_RODNE_CISLO", "CZ_BIRTH_NUMBER"],
    &["RO_CNP"],
    &["BG_EGN"],
    &["TR_TCKN", "TR_NATIONAL_ID", "TR_TC"],
    &["TR_LICENSE_PLATE", "TR_VEHICLE_REGISTRATION"],
    &["UA_RNOKPP", "UA_TAX_ID", "UA_INN"],
    &["IE_PPS", "IE_PPSN"],
    // Asia, Africa, Oceania.
    &["IN_AADHAAR", "AADHAAR"],
    &["IN_PAN"],
    &["IN_GSTIN", "IN_GST"],
    &["IN_VOTER", "IN_VOTER_ID", "IN_EPIC"],
    &["CN_ID", "CN_RESIDENT_ID", "CN_ID_CARD", "CN_RIC"],
    &["JP_MY_NUMBER", "JP_MYNUMBER", "MY_NUMBER"],
    &["KR_RRN"],
    &["KR_FRN"],
    &["KR_BRN"],
    &["SG_NRIC_FIN", "SG_NRIC", "SG_FIN"],
    &["TH_TNIN", "TH_NATIONAL_ID", "TH_ID", "TH_PIN"],
    &["ZA_ID_NUMBER", "ZA_ID", "ZA_IDNR"],
    &["IL_ID", "IL_TEUDAT_ZEHUT"],
    &["AU_TFN"],
    &["AU_ABN"],
    &["AU_ACN"],
    &["AU_MEDICARE"],
    &["NZ_IRD"],
];

/// What has no shape: a pattern cannot know it, whatever the pack. Left out of the figure
/// `patterns` and counted in the figure `all`.
pub const SHAPELESS: &[&str] = &[
    "PERSON",
    "LOCATION",
    "ADDRESS",
    "ORGANIZATION",
    "NRP",
    "TITLE",
    "PREFIX",
    "AGE",
    "FACILITY",
    "EVENT",
];

/// The one name of what `name` names.
pub fn canonical(name: &str) -> Cow<'_, str> {
    let same = |names: &&&[&'static str]| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    match ALIASES.iter().find(same).and_then(|names| names.first()) {
        Some(first) => Cow::Borrowed(*first),
        None => Cow::Borrowed(name),
    }
}

/// Wider names, and what they also cover: a wallet annotated without its currency is found by any
/// currency's rule, a date by the rule for dates of birth.
pub const WIDER: &[(&str, &[&str])] = &[
    (
        "CRYPTO",
        &[
            "CRYPTO_BTC",
            "CRYPTO_ETH",
            "CRYPTO_LTC",
            "CRYPTO_XMR",
            "CRYPTO_SOL",
            "CRYPTO_TRX",
            "CRYPTO_XRP",
        ],
    ),
    ("DATE", &["DATE_OF_BIRTH"]),
    ("ZIP", &["UK_POSTCODE"]),
    ("URL", &["URL_CREDENTIALS"]),
];

/// Whether a finding called `found` is what was annotated as `wanted`; both canonical.
pub(super) fn same(wanted: &str, found: &str) -> bool {
    wanted == found
        || WIDER
            .iter()
            .any(|(wide, narrow)| *wide == wanted && narrow.contains(&found))
}

/// Whether a pattern can know it at all; `name` is canonical.
pub(super) fn has_shape(name: &str) -> bool {
    !SHAPELESS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_one_thing() {
        let mut seen = std::collections::BTreeSet::new();
        for name in ALIASES.iter().flat_map(|names| names.iter()) {
            assert!(seen.insert(name), "{name} stands twice");
        }
        assert_eq!(canonical("IP_ADDRESS"), "IP");
        assert_eq!(canonical("gpe"), "LOCATION");
        assert_eq!(canonical("ACME_TICKET"), "ACME_TICKET");
        assert!(SHAPELESS.iter().all(|name| canonical(name) == *name));
    }

    #[test]
    fn a_wallet_of_any_currency_is_a_wallet() {
        assert!(same("CRYPTO", "CRYPTO_BTC"));
        assert!(!same("CRYPTO_BTC", "CRYPTO"));
        assert!(!same("CRYPTO_BTC", "CRYPTO_ETH"));
    }
}
