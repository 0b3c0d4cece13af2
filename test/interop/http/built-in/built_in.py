"""A program that asks for an address that is built in, and knows nothing of us."""

import requests

answer = requests.get("https://api.example.org/v1/customers", timeout=60)
print(answer.status_code, answer.text)
