//! Providers that are known by name: base URL, key variable, and where their prices stand.
//!
//! All of them speak OpenAI's dialect and take the key as `Authorization: Bearer`. The facts are
//! those of models.dev, LiteLLM and the Portkey gateway (each MIT), 2026-11.

/// A provider known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The name in configuration and records.
    pub name: &'static str,
    /// The name as its owner writes it.
    pub title: &'static str,
    /// What stands before `/chat/completions`.
    pub base_url: &'static str,
    /// Environment variables that usually hold its key, the likeliest first.
    pub key_env: &'static [&'static str],
    /// Its id in the price table; `None` where the table has no prices of it.
    pub prices: Option<&'static str>,
}

const fn entry(
    name: &'static str,
    title: &'static str,
    base_url: &'static str,
    key_env: &'static [&'static str],
    prices: Option<&'static str>,
) -> Known {
    Known {
        name,
        title,
        base_url,
        key_env,
        prices,
    }
}

#[rustfmt::skip]
static KNOWN: &[Known] = &[
    entry("openai", "OpenAI", "https://api.openai.com/v1", &["OPENAI_API_KEY"], Some("openai")),
    entry("groq", "Groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"], Some("groq")),
    entry("mistral", "Mistral AI", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"], Some("mistral")),
    entry("deepseek", "DeepSeek", "https://api.deepseek.com", &["DEEPSEEK_API_KEY"], Some("deepseek")),
    entry("together", "Together AI", "https://api.together.xyz/v1", &["TOGETHER_API_KEY"], Some("together_ai")),
    entry("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY"], None),
    entry("xai", "xAI", "https://api.x.ai/v1", &["XAI_API_KEY"], Some("xai")),
    entry("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", &["FIREWORKS_API_KEY"], Some("fireworks_ai")),
    entry("cerebras", "Cerebras", "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"], Some("cerebras")),
    entry("perplexity", "Perplexity", "https://api.perplexity.ai", &["PERPLEXITY_API_KEY"], Some("perplexity")),
    entry("nvidia", "Nvidia", "https://integrate.api.nvidia.com/v1", &["NVIDIA_API_KEY"], None),
    entry("gemini", "Google Gemini API (OpenAI-compatible path)", "https://generativelanguage.googleapis.com/v1beta/openai", &["GEMINI_API_KEY", "GOOGLE_API_KEY"], Some("gemini")),
    entry("deepinfra", "Deep Infra", "https://api.deepinfra.com/v1/openai", &["DEEPINFRA_API_KEY"], Some("deepinfra")),
    entry("sambanova", "sambanova", "https://api.sambanova.ai/v1", &["SAMBANOVA_API_KEY"], Some("sambanova")),
    entry("moonshot", "Moonshot AI", "https://api.moonshot.ai/v1", &["MOONSHOT_API_KEY"], Some("moonshot")),
    entry("alibaba", "Alibaba", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", &["DASHSCOPE_API_KEY"], Some("dashscope")),
    entry("zai", "Z.AI", "https://api.z.ai/api/paas/v4", &["ZHIPU_API_KEY"], Some("zai")),
    entry("huggingface", "Hugging Face", "https://router.huggingface.co/v1", &["HF_TOKEN"], None),
    entry("hyperbolic", "hyperbolic", "https://api.hyperbolic.xyz/v1", &["HYPERBOLIC_API_KEY"], Some("hyperbolic")),
    entry("nebius", "Nebius Token Factory", "https://api.tokenfactory.nebius.com/v1", &["NEBIUS_API_KEY"], Some("nebius")),
    entry("novita", "NovitaAI", "https://api.novita.ai/openai", &["NOVITA_API_KEY"], Some("novita")),
    entry("cohere", "Cohere (OpenAI-compatible)", "https://api.cohere.ai/compatibility/v1", &["COHERE_API_KEY"], Some("cohere")),
    entry("ai21", "ai21", "https://api.ai21.com/studio/v1", &["AI21_API_KEY"], Some("ai21")),
    entry("upstage", "Upstage", "https://api.upstage.ai/v1/solar", &["UPSTAGE_API_KEY"], None),
    entry("lambda", "lambda_ai", "https://api.lambda.ai/v1", &["LAMBDA_API_KEY"], Some("lambda_ai")),
    entry("baseten", "Baseten", "https://inference.baseten.co/v1", &["BASETEN_API_KEY"], Some("baseten")),
    entry("vercel", "Vercel AI Gateway", "https://ai-gateway.vercel.sh/v1", &["AI_GATEWAY_API_KEY"], Some("vercel_ai_gateway")),
    entry("inception", "Inception", "https://api.inceptionlabs.ai/v1", &["INCEPTION_API_KEY"], Some("inception")),
    entry("scaleway", "Scaleway", "https://api.scaleway.ai/v1", &["SCALEWAY_API_KEY"], Some("scaleway")),
    entry("ovhcloud", "OVHcloud AI Endpoints", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", &["OVHCLOUD_API_KEY"], Some("ovhcloud")),
    entry("siliconflow", "SiliconFlow", "https://api.siliconflow.com/v1", &["SILICONFLOW_API_KEY"], None),
    entry("friendli", "Friendli", "https://api.friendli.ai/serverless/v1", &["FRIENDLI_TOKEN"], Some("friendliai")),
    entry("nscale", "nscale", "https://inference.api.nscale.com/v1", &["NSCALE_API_KEY"], Some("nscale")),
    entry("wandb", "Weights & Biases", "https://api.inference.wandb.ai/v1", &["WANDB_API_KEY"], Some("wandb")),
    entry("chutes", "Chutes", "https://llm.chutes.ai/v1", &["CHUTES_API_KEY"], None),
    entry("venice", "Venice AI", "https://api.venice.ai/api/v1", &["VENICE_API_KEY"], None),
    entry("requesty", "Requesty", "https://router.requesty.ai/v1", &["REQUESTY_API_KEY"], None),
    entry("featherless", "featherless_ai", "https://api.featherless.ai/v1", &["FEATHERLESS_AI_API_KEY"], None),
    entry("parasail", "parasail", "https://api.parasail.io/v1", &["PARASAIL_API_KEY"], None),
    entry("poe", "Poe", "https://api.poe.com/v1", &["POE_API_KEY"], None),
];

/// Every known provider, OpenAI first.
#[must_use]
pub fn known() -> &'static [Known] {
    KNOWN
}

/// The provider of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// The provider that a base URL belongs to, by its host: `api.openai.com` is OpenAI, whichever
/// path follows.
#[must_use]
pub fn by_url(base_url: &str) -> Option<&'static Known> {
    let host = host(base_url)?;
    KNOWN
        .iter()
        .find(|known| self::host(known.base_url).is_some_and(|known| known.eq_ignore_ascii_case(host)))
}

fn host(url: &str) -> Option<&str> {
    url.strip_prefix("https://")
        .and_then(|rest| rest.split(['/', '?', '#', ':']).next())
        .filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::prices::Prices;

    #[test]
    fn entries_are_sound() {
        let mut names = HashSet::new();
        let mut hosts = HashSet::new();
        for known in super::known() {
            assert!(names.insert(known.name), "{} twice", known.name);
            assert!(hosts.insert(host(known.base_url)), "{} shares a host", known.name);
            assert!(
                known.base_url.starts_with("https://") && !known.base_url.ends_with('/'),
                "{}",
                known.base_url
            );
            assert!(!known.key_env.is_empty(), "{}", known.name);
            if let Some(id) = known.prices {
                assert!(
                    Prices::builtin().models_of(id).next().is_some(),
                    "{} has no prices under {id}",
                    known.name
                );
            }
        }
    }

    #[test]
    fn found_by_name_and_host() {
        assert_eq!(by_name("groq").unwrap().base_url, "https://api.groq.com/openai/v1");
        assert_eq!(by_url("https://API.openai.com/v1").unwrap().name, "openai");
        assert_eq!(by_url("http://127.0.0.1:8000/v1"), None);
        assert_eq!(by_url("https://api.openai.com.evil.example/v1"), None);
    }
}
