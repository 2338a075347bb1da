//! Canned knowledge, so that answers read like answers.

use super::seed::Seed;

struct Topic {
    name: &'static str,
    keys: &'static [&'static str],
    sentences: &'static [&'static str],
}

const TOPICS: &[Topic] = &[
    Topic {
        name: "billing",
        keys: &["invoice", "refund", "charge", "billing", "card"],
        sentences: &[
            "I looked at the invoice and the amount covers one month of the Team plan.",
            "A refund takes three to five working days to reach your bank.",
            "You can change the payment method under Settings, Billing.",
            "If the charge appears twice, the second one is a reservation that lapses by itself.",
        ],
    },
    Topic {
        name: "shipping",
        keys: &["order", "parcel", "deliver", "shipping", "track"],
        sentences: &[
            "The parcel left our warehouse yesterday and is with the carrier.",
            "Delivery usually takes two working days inside the country.",
            "The tracking page is updated every time the parcel is scanned.",
            "If nobody is at home, the driver leaves it at the nearest pick-up point.",
        ],
    },
    Topic {
        name: "contact",
        keys: &["contact", "e-mail", "email", "reach", "phone number"],
        sentences: &[
            "Write to claims@northwind.example and name your policy number.",
            "The office answers within one working day.",
            "For anything urgent, ask for the duty manager.",
        ],
    },
    Topic {
        name: "rust",
        keys: &["rust", "borrow", "lifetime", "cargo", "trait"],
        sentences: &[
            "The borrow checker rejects this because the reference outlives the value it points to.",
            "Move the value into the closure, or clone it before the loop.",
            "A trait object needs a vtable, so a generic parameter is the faster choice here.",
            "Run the tests again after the change: the compiler shows the remaining places.",
        ],
    },
    Topic {
        name: "sql",
        keys: &["sql", "query", "database", "join", "index"],
        sentences: &[
            "Group by customer first and join the result afterwards, so that rows are not counted twice.",
            "An index on (customer_id, created_at) turns the scan into a range read.",
            "Use a window function to keep only the latest row of each customer.",
            "EXPLAIN ANALYZE shows which step takes the time.",
        ],
    },
    Topic {
        name: "cooking",
        keys: &["recipe", "cook", "dinner", "bake", "soup"],
        sentences: &[
            "Fry the onions slowly until they are golden, then add the garlic.",
            "Simmer the lentils for twenty minutes with a bay leaf.",
            "Finish with lemon juice and a spoon of yoghurt.",
            "It tastes even better on the second day.",
        ],
    },
    Topic {
        name: "travel",
        keys: &["travel", "trip", "flight", "hotel", "weather", "visit"],
        sentences: &[
            "Spring is the best season: mild days and few crowds.",
            "The train from the airport takes half an hour and runs every fifteen minutes.",
            "Book the museum in advance, because tickets sell out by noon.",
            "Leave one day free for the coast.",
        ],
    },
    Topic {
        name: "translation",
        keys: &["translate", "french", "german", "spanish", "japanese"],
        sentences: &[
            "Voici la traduction : « Merci de votre patience, nous revenons vers vous demain. »",
            "Auf Deutsch: „Vielen Dank für Ihre Geduld, wir melden uns morgen.“",
            "The second sentence is more formal and suits a letter.",
        ],
    },
    Topic {
        name: "summary",
        keys: &["summar", "meeting", "notes", "report", "minutes"],
        sentences: &[
            "The team agreed to ship the first version in March and to review the figures every week.",
            "Two risks remain open: the data migration and the contract with the supplier.",
            "Next steps: finish the load test, write the runbook, tell the customers.",
            "Revenue grew by eight percent while costs stayed flat.",
        ],
    },
    Topic {
        name: "health",
        keys: &["sleep", "exercise", "health", "diet", "headache"],
        sentences: &[
            "Regular hours matter more than the number of hours.",
            "Half an hour of walking a day already makes a measurable difference.",
            "Please see a doctor if it lasts longer than a week.",
        ],
    },
    Topic {
        name: "science",
        keys: &["why", "explain", "how does", "physics", "planet"],
        sentences: &[
            "Short wavelengths are scattered far more than long ones, which is why the sky looks blue.",
            "The effect grows with the fourth power of the frequency.",
            "At sunset the light crosses more air, and mostly red is left.",
            "You can see the same in a glass of water with a drop of milk.",
        ],
    },
];

const GENERAL: &[&str] = &[
    "That depends on what matters most to you.",
    "Start small, measure, and change one thing at a time.",
    "Here is a short list of the points that usually decide.",
    "If you tell me more about your case, I can be more exact.",
];

fn find(prompt: &str) -> Option<&'static Topic> {
    let lower = prompt.to_lowercase();
    TOPICS
        .iter()
        .find(|topic| topic.keys.iter().any(|key| lower.contains(key)))
}

/// The topic of a prompt.
pub fn name(prompt: &str) -> &'static str {
    find(prompt).map_or("general", |topic| topic.name)
}

/// A few sentences on the prompt's topic, the first one fixed.
pub fn answer(prompt: &str, seed: &mut Seed) -> String {
    let sentences = find(prompt).map_or(GENERAL, |topic| topic.sentences);
    let mut said: Vec<&str> = sentences.iter().take(1).copied().collect();
    for sentence in sentences.iter().skip(1) {
        if seed.below(3) > 0 {
            said.push(sentence);
        }
    }
    said.join(" ")
}
