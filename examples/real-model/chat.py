"""Three calls to a real model through Weir: one whole, one streamed, one with personal data."""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key="unused", default_headers={"x-weir-app": "real-model"})


def ask(prompt, **options):
    print(f"> {prompt}")
    return client.chat.completions.create(
        model="smollm2-135m", messages=[{"role": "user", "content": prompt}], max_tokens=60, temperature=0, **options
    )


print(ask("Why is the sky blue? Answer in one sentence.", user="ana").choices[0].message.content)

for chunk in ask("Write a haiku about the sea.", user="ben", stream=True):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()

card = " ".join(["4242"] * 4)
print(ask(f"Repeat after me: Write to ana.keller@example.com about card {card}.", user="ana").choices[0].message.content)
