#!/usr/bin/env python3
"""Writes reminders.csv: the same file each time, for the seed is fixed. Run it in this directory to change the demo's input.

Columns: request_id, namespace, due (seconds relative to the start of the demo), user_id, channel, locale, payload (JSON).
"""

import csv
import json
import random

ROWS = 3_000
random.seed(6355)

TEXTS = {
    "appointments": {
        "en-GB": "Dentist at {h}:{m}, please come ten minutes early",
        "de-DE": "Zahnarzt um {h}:{m} Uhr, bitte zehn Minuten vorher da sein",
        "fr-FR": "Dentiste à {h}h{m}, merci d'arriver dix minutes plus tôt",
        "pt-BR": "Dentista às {h}:{m}, chegue dez minutos antes",
    },
    "invoices": {
        "en-GB": "Invoice {n} over £{a}.{m} is due today",
        "de-DE": "Rechnung {n} über {a},{m} € ist heute fällig",
        "fr-FR": "La facture {n} de {a},{m} € est à régler aujourd'hui",
        "pt-BR": "A fatura {n} de R$ {a},{m} vence hoje",
    },
    "medication": {
        "en-GB": "Time for your {h}:{m} dose: {d} drops, with water",
        "de-DE": "Zeit für die Einnahme um {h}:{m} Uhr: {d} Tropfen mit Wasser",
        "fr-FR": "C'est l'heure de votre prise de {h}h{m} : {d} gouttes, avec de l'eau",
        "pt-BR": "Hora da dose das {h}:{m}: {d} gotas, com água",
    },
    "parcels": {
        "en-GB": 'Parcel {n}: the driver is {d} stops away, "leave at door" is set',
        "de-DE": "Paket {n}: noch {d} Stopps bis zu Ihnen, Abstellgenehmigung liegt vor",
        "fr-FR": "Colis {n} : le livreur est à {d} arrêts de chez vous",
        "pt-BR": "Encomenda {n}: o entregador está a {d} paradas de você",
    },
    "meetings": {
        "en-GB": "Stand-up in {d} minutes, room {a}",
        "de-DE": "Besprechung in {d} Minuten, Raum {a}",
        "fr-FR": "Réunion dans {d} minutes, salle {a}",
        "pt-BR": "Reunião em {d} minutos, sala {a}",
    },
    "trials": {
        "en-GB": "Your free trial ends in {d} days; nothing is charged before",
        "de-DE": "Ihr Probeabo endet in {d} Tagen; vorher wird nichts abgebucht",
        "fr-FR": "Votre essai se termine dans {d} jours, aucun débit avant",
        "pt-BR": "Seu teste termina em {d} dias; nada é cobrado antes",
    },
}
CHANNELS = ["push", "push", "push", "email", "email", "sms"]


def due():
    """A quarter is overdue by up to a day, a sixth is due at once, the rest over the next twelve seconds."""
    kind = random.random()
    if kind < 0.25:
        return f"-{random.choice([1, 60, 3600, 86400]) * random.uniform(0.2, 1):.3f}s"
    if kind < 0.42:
        return "+0s"
    return f"+{random.uniform(0.5, 12):.3f}s"


def row(number):
    namespace = random.choice(list(TEXTS))
    locale = random.choice(list(TEXTS[namespace]))
    text = TEXTS[namespace][locale].format(
        h=random.randint(8, 19),
        m=f"{random.randint(0, 59):02}",
        n=random.randint(100_000, 999_999),
        a=random.randint(5, 480),
        d=random.randint(2, 30),
    )
    payload = json.dumps({"text": text, "link": f"https://example.org/r/{number:05x}"}, ensure_ascii=False)
    user = f"user-{random.randint(1, 1200)}"
    return [f"reminder-{number:05}", namespace, due(), user, random.choice(CHANNELS), locale, payload]


with open("reminders.csv", "w", newline="", encoding="utf-8") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["request_id", "namespace", "due", "user_id", "channel", "locale", "payload"])
    out.writerows(row(number) for number in range(1, ROWS + 1))
