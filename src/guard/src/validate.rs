//! What a pattern cannot say: checksums, number ranges, randomness.
//!
//! A validator looks at one matched text and accepts a prefix of it (greedy patterns may take in
//! what follows) or refuses it.

mod americas;
mod asia;
mod bank;
mod card;
mod crypto;
mod date;
mod digits;
mod europe;
mod net;
mod nordic;
mod oceania_africa;
mod phone;
mod sums;
mod token;
mod us;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use digits::{digits, luhn};
pub(crate) use token::entropy;

use crate::secret;

/// A named check on a matched text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Validator {
    /// The digits pass the Luhn check.
    Luhn,
    /// A payment card: issuer range, length for that issuer, Luhn, and not all digits alike. Cuts a short
    /// number that follows.
    Card,
    /// A US social security number: area, group and serial were issued, and it is no known sample.
    Ssn,
    /// An IBAN: length for its country and mod-97 check. Cuts what follows the number.
    Iban,
    /// A North American phone number: area code and exchange may be assigned.
    Nanp,
    /// An international phone number: a country code that exists and a length that it allows. Cuts
    /// groups of digits that follow the number.
    E164,
    /// A phone number as it is written inside some country: 7 to 12 digits.
    NationalPhone,
    /// An IPv4 address in dotted form, not unspecified, not a netmask. Cuts what follows a `/` and is no length.
    Ipv4,
    /// An IPv6 address with at least three groups, or a compressed one that is not bare `::`.
    Ipv6,
    /// An e-mail address: no file whose name holds an `@`, and not `git@`, the user of a repository's address.
    Email,
    /// A JSON web token: the header decodes to a JSON object that names an algorithm.
    Jwt,
    /// A key that is not masked (`xxxxxx`, `******`).
    Key,
    /// Drawn at random, not put together from words and numbers, and no stand-in for a secret; or a UUID.
    Random,
    /// Random, and no UUID: where the name says little.
    RandomNotUuid,
    /// Any credential that is neither a stand-in nor one of the words that documentation writes.
    Credential,
    /// The same, and none of the passwords of test databases either.
    DatabasePassword,
    /// A password that somebody may have chosen, not a word, a number, code or a stand-in.
    Password,
    /// At least one letter and one digit: words and plain numbers are no keys.
    Mixed,
    /// A US taxpayer number (ITIN): begins with 9, a middle that is given out.
    Itin,
    /// A US employer number (EIN): a prefix that is given out.
    Ein,
    /// A US bank routing number: district and check digit.
    AbaRouting,
    /// A US health care provider number: Luhn with its prefix.
    UsNpi,
    /// A US prescriber number (DEA): check digit.
    UsDea,
    /// A vehicle identification number: check digit in the ninth place.
    Vin,
    /// A bank identifier code: the fifth and sixth letter name a country.
    Bic,
    /// A hardware address, one separator throughout, neither all zeros nor broadcast.
    Mac,
    /// A phone number of some national plan, as its punctuation shows: 6 to 13 digits, no date, no list of small numbers.
    LocalPhone,
    /// A date that somebody may be born on.
    BirthDate,
    /// Base58Check with a version byte and a hash of 20 bytes, as Bitcoin, Litecoin, Dogecoin, Tron and Ripple write addresses.
    Base58check,
    /// Bech32 or Bech32m.
    Bech32,
    /// An Ethereum address; if it has capitals and small letters, they are its check.
    Eip55,
    /// Norway, fødselsnummer.
    NoFnr,
    /// Sweden, personnummer.
    SePersonnummer,
    /// Sweden, organisationsnummer.
    SeOrgnr,
    /// Denmark, CPR number with its check digit.
    DkCpr,
    /// Denmark, CPR number, the date alone.
    DkCprDate,
    /// Finland, henkilötunnus.
    FiHetu,
    /// Iceland, kennitala.
    IsKennitala,
    /// Estonia, isikukood, and Lithuania, asmens kodas.
    Baltic,
    /// Latvia, personas kods.
    LvPk,
    /// Austria, Sozialversicherungsnummer.
    AtSvnr,
    /// Belgium, rijksregisternummer.
    BeNrn,
    /// Bulgaria, EGN.
    BgEgn,
    /// Switzerland, AHV number.
    ChAhv,
    /// Czechia and Slovakia, birth number.
    CzRc,
    /// Germany, Steuer-ID.
    DeTaxId,
    /// Germany, Sozialversicherungsnummer.
    DeRvnr,
    /// Germany, Krankenversichertennummer.
    DeKvnr,
    /// Germany, number of a passport or identity card, with or without check digit.
    DeDocument,
    /// Germany, VAT number.
    DeVat,
    /// Spain, NIF.
    EsNif,
    /// Spain, NIE.
    EsNie,
    /// Spain, CIF.
    EsCif,
    /// France, numéro de sécurité sociale.
    FrNir,
    /// Greece, AMKA.
    GrAmka,
    /// Greece, AFM.
    GrAfm,
    /// Croatia, OIB.
    HrOib,
    /// Hungary, tax number of a person.
    HuTax,
    /// Hungary, TAJ number.
    HuTaj,
    /// Hungary, személyi szám.
    HuSzemelyi,
    /// Ireland, PPS number.
    IePps,
    /// Italy, codice fiscale.
    ItFiscal,
    /// Italy, partita IVA.
    ItVat,
    /// Netherlands, BSN.
    NlBsn,
    /// Poland, PESEL.
    PlPesel,
    /// Poland, PESEL, the sum alone.
    PlPeselSum,
    /// Poland, NIP.
    PlNip,
    /// Poland, REGON.
    PlRegon,
    /// Poland, identity card.
    PlIdCard,
    /// Portugal, NIF.
    PtNif,
    /// Romania, CNP.
    RoCnp,
    /// Slovenia, EMŠO; JMBG of its neighbours.
    Emso,
    /// Slovenia, davčna številka.
    SiTax,
    /// Turkey, T.C. kimlik numarası.
    TrTckn,
    /// Ukraine, РНОКПП.
    UaRnokpp,
    /// United Kingdom, NHS number.
    UkNhs,
    /// United Kingdom, National Insurance number.
    UkNino,
    /// United Kingdom, unique taxpayer reference.
    UkUtr,
    /// Russia, ИНН.
    RuInn,
    /// Russia, СНИЛС.
    RuSnils,
    /// Argentina, CUIT and CUIL.
    ArCuit,
    /// Brazil, CPF.
    BrCpf,
    /// Brazil, CNPJ.
    BrCnpj,
    /// Canada, social insurance number.
    CaSin,
    /// Chile, RUT.
    ClRut,
    /// Colombia, NIT.
    CoNit,
    /// Ecuador, cédula.
    EcCedula,
    /// Mexico, CURP.
    MxCurp,
    /// Mexico, RFC.
    MxRfc,
    /// Peru, RUC.
    PeRuc,
    /// Uruguay, cédula de identidad.
    UyCi,
    /// China, resident identity card.
    CnId,
    /// Hong Kong, identity card.
    HkId,
    /// Indonesia, NIK.
    IdNik,
    /// Israel, teudat zehut.
    IlId,
    /// India, Aadhaar.
    InAadhaar,
    /// India, PAN: a kind of holder that exists.
    InPan,
    /// India, GSTIN.
    InGstin,
    /// India, GSTIN, the state alone.
    InGstinShape,
    /// Japan, My Number.
    JpMyNumber,
    /// Korea, registration number of residents and foreigners.
    KrRrn,
    /// Korea, the same, the date alone.
    KrRrnDate,
    /// Korea, business registration number.
    KrBrn,
    /// Malaysia, MyKad.
    MyNric,
    /// Pakistan, CNIC.
    PkCnic,
    /// Singapore, NRIC and FIN.
    SgNric,
    /// Thailand, citizen's number.
    ThId,
    /// Taiwan, identity card.
    TwId,
    /// United Arab Emirates, Emirates ID.
    AeId,
    /// Saudi Arabia, national ID and iqama.
    SaId,
    /// Australia, tax file number.
    AuTfn,
    /// Australia, business number.
    AuAbn,
    /// Australia, company number.
    AuAcn,
    /// Australia, Medicare card.
    AuMedicare,
    /// New Zealand, IRD number.
    NzIrd,
    /// South Africa, identity number.
    ZaId,
    /// Egypt, national number.
    EgId,
}

impl Validator {
    /// Length of the accepted prefix of `text`, bytes; `None` refuses the match.
    pub fn accept(self, text: &str) -> Option<usize> {
        let whole = |ok: bool| ok.then_some(text.len());
        match self {
            Validator::Luhn => whole(luhn(&digits(text))),
            Validator::Card => card::card(text),
            Validator::Ssn => whole(us::is_ssn(&digits(text))),
            Validator::Iban => bank::iban(text),
            Validator::Nanp => whole(phone::is_nanp_text(text)),
            Validator::E164 => phone::international(text),
            Validator::NationalPhone => phone::national(text),
            Validator::Ipv4 => net::ipv4(text),
            Validator::Ipv6 => net::ipv6(text),
            Validator::Itin => whole(us::is_itin(&digits(text))),
            Validator::Ein => whole(us::is_ein(&digits(text))),
            Validator::AbaRouting => whole(us::is_routing(&digits(text))),
            Validator::UsNpi => whole(us::is_npi(&digits(text))),
            Validator::UsDea => whole(us::is_dea(text)),
            Validator::Vin => whole(us::is_vin(text)),
            Validator::Bic => whole(bank::is_bic(text)),
            Validator::Mac => whole(net::is_mac(text)),
            Validator::LocalPhone => whole(phone::is_local(text)),
            Validator::BirthDate => whole(date::is_birth_date(text)),
            Validator::Base58check => whole(crypto::base58check(text)),
            Validator::Bech32 => whole(crypto::bech32(text)),
            Validator::Eip55 => whole(crypto::eip55(text)),
            Validator::NoFnr => whole(nordic::no_fnr(&digits(text))),
            Validator::SePersonnummer => whole(nordic::se_personnummer(&digits(text))),
            Validator::SeOrgnr => whole(nordic::se_orgnr(&digits(text))),
            Validator::DkCpr => whole(nordic::dk_cpr(&digits(text))),
            Validator::DkCprDate => whole(nordic::dk_cpr_date(&digits(text))),
            Validator::FiHetu => whole(nordic::fi_hetu(text)),
            Validator::IsKennitala => whole(nordic::is_kennitala(&digits(text))),
            Validator::Baltic => whole(nordic::baltic(&digits(text))),
            Validator::LvPk => whole(nordic::lv_pk(&digits(text))),
            Validator::AtSvnr => whole(europe::at_svnr(&digits(text))),
            Validator::BeNrn => whole(europe::be_nrn(&digits(text))),
            Validator::BgEgn => whole(europe::bg_egn(&digits(text))),
            Validator::ChAhv => whole(europe::ch_ahv(&digits(text))),
            Validator::CzRc => whole(europe::cz_rc(&digits(text))),
            Validator::DeTaxId => whole(europe::de_tax_id(&digits(text))),
            Validator::DeRvnr => whole(europe::de_rvnr(text)),
            Validator::DeKvnr => whole(europe::de_kvnr(text)),
            Validator::DeDocument => whole(europe::de_document(text)),
            Validator::DeVat => whole(europe::de_vat(&digits(text))),
            Validator::EsNif => whole(europe::es_nif(text)),
            Validator::EsNie => whole(europe::es_nie(text)),
            Validator::EsCif => whole(europe::es_cif(text)),
            Validator::FrNir => whole(europe::fr_nir(text)),
            Validator::GrAmka => whole(europe::gr_amka(&digits(text))),
            Validator::GrAfm => whole(europe::gr_afm(&digits(text))),
            Validator::HrOib => whole(europe::hr_oib(&digits(text))),
            Validator::HuTax => whole(europe::hu_tax(&digits(text))),
            Validator::HuTaj => whole(europe::hu_taj(&digits(text))),
            Validator::HuSzemelyi => whole(europe::hu_szemelyi(&digits(text))),
            Validator::IePps => whole(europe::ie_pps(text)),
            Validator::ItFiscal => whole(europe::it_fiscal(text)),
            Validator::ItVat => whole(europe::it_vat(&digits(text))),
            Validator::NlBsn => whole(europe::nl_bsn(&digits(text))),
            Validator::PlPesel => whole(europe::pl_pesel(&digits(text))),
            Validator::PlPeselSum => whole(europe::pl_pesel_sum(&digits(text))),
            Validator::PlNip => whole(europe::pl_nip(&digits(text))),
            Validator::PlRegon => whole(europe::pl_regon(&digits(text))),
            Validator::PlIdCard => whole(europe::pl_id_card(text)),
            Validator::PtNif => whole(europe::pt_nif(&digits(text))),
            Validator::RoCnp => whole(europe::ro_cnp(&digits(text))),
            Validator::Emso => whole(europe::emso(&digits(text))),
            Validator::SiTax => whole(europe::si_tax(&digits(text))),
            Validator::TrTckn => whole(europe::tr_tckn(&digits(text))),
            Validator::UaRnokpp => whole(europe::ua_rnokpp(&digits(text))),
            Validator::UkNhs => whole(europe::uk_nhs(&digits(text))),
            Validator::UkNino => whole(europe::uk_nino(text)),
            Validator::UkUtr => whole(europe::uk_utr(&digits(text))),
            Validator::RuInn => whole(europe::ru_inn(&digits(text))),
            Validator::RuSnils => whole(europe::ru_snils(&digits(text))),
            Validator::ArCuit => whole(americas::ar_cuit(&digits(text))),
            Validator::BrCpf => whole(americas::br_cpf(&digits(text))),
            Validator::BrCnpj => whole(americas::br_cnpj(text)),
            Validator::CaSin => whole(americas::ca_sin(&digits(text))),
            Validator::ClRut => whole(americas::cl_rut(text)),
            Validator::CoNit => whole(americas::co_nit(&digits(text))),
            Validator::EcCedula => whole(americas::ec_cedula(&digits(text))),
            Validator::MxCurp => whole(americas::mx_curp(text)),
            Validator::MxRfc => whole(americas::mx_rfc(text)),
            Validator::PeRuc => whole(americas::pe_ruc(&digits(text))),
            Validator::UyCi => whole(americas::uy_ci(&digits(text))),
            Validator::CnId => whole(asia::cn_id(text)),
            Validator::HkId => whole(asia::hk_id(text)),
            Validator::IdNik => whole(asia::id_nik(&digits(text))),
            Validator::IlId => whole(asia::il_id(&digits(text))),
            Validator::InAadhaar => whole(asia::in_aadhaar(&digits(text))),
            Validator::InPan => whole(asia::in_pan(text)),
            Validator::InGstin => whole(asia::in_gstin(text)),
            Validator::InGstinShape => whole(asia::in_gstin_shape(text)),
            Validator::JpMyNumber => whole(asia::jp_my_number(&digits(text))),
            Validator::KrRrn => whole(asia::kr_rrn(&digits(text))),
            Validator::KrRrnDate => whole(asia::kr_rrn_date(&digits(text))),
            Validator::KrBrn => whole(asia::kr_brn(&digits(text))),
            Validator::MyNric => whole(asia::my_nric(&digits(text))),
            Validator::PkCnic => whole(asia::pk_cnic(&digits(text))),
            Validator::SgNric => whole(asia::sg_nric(text)),
            Validator::ThId => whole(asia::th_id(&digits(text))),
            Validator::TwId => whole(asia::tw_id(text)),
            Validator::AeId => whole(asia::ae_id(&digits(text))),
            Validator::SaId => whole(asia::sa_id(&digits(text))),
            Validator::AuTfn => whole(oceania_africa::au_tfn(&digits(text))),
            Validator::AuAbn => whole(oceania_africa::au_abn(&digits(text))),
            Validator::AuAcn => whole(oceania_africa::au_acn(&digits(text))),
            Validator::AuMedicare => whole(oceania_africa::au_medicare(&digits(text))),
            Validator::NzIrd => whole(oceania_africa::nz_ird(&digits(text))),
            Validator::ZaId => whole(oceania_africa::za_id(&digits(text))),
            Validator::EgId => whole(oceania_africa::eg_id(&digits(text))),
            Validator::Email => net::email(text),
            Validator::Jwt => whole(token::is_jwt(text)),
            Validator::Key => whole(!secret::is_masked(text)),
            Validator::Random => whole(secret::is_uuid(text) || secret::is_random(text)),
            Validator::RandomNotUuid => whole(!secret::is_uuid(text) && secret::is_random(text)),
            Validator::Credential => whole(secret::is_credential(text, false)),
            Validator::DatabasePassword => whole(secret::is_credential(text, true)),
            Validator::Password => whole(secret::is_password(text)),
            Validator::Mixed => {
                let (letter, digit) = (|b: u8| b.is_ascii_alphabetic(), |b: u8| b.is_ascii_digit());
                whole(text.bytes().any(letter) && text.bytes().any(digit))
            }
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod families;
