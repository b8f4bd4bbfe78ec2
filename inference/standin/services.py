"""What the dealership offers besides cars: hours, money, trade-ins, warranty, workshop, and test drives."""

from inference.standin.conversation import DEALERSHIP, NAMES, Conversation
from inference.standin.stock import CATALOGUE

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "tomorrow")
TIMES = ("9 AM", "10 AM", "11 AM", "noon", "1 PM", "2 PM", "3 PM", "4 PM", "5 PM", "10:30 AM", "1:30 PM", "3:30 PM")

# Each entry: ways to ask, ways to answer.
QUESTIONS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("What are your hours?", "What are your opening hours?", "When are you open?", "What time do you close?",
         "Are you open today?", "Opening hours?", "How late are you open?", "What time do you open tomorrow?",
         "Are you open on Saturday?"),
        ("We are open Monday through Saturday from 9 AM to 7 PM, and closed on Sunday.",),
    ),
    (
        ("Are you open on Sunday?", "Are you open Sundays?", "Can I come on Sunday?"),
        ("We are closed on Sunday. We are open Monday through Saturday from 9 AM to 7 PM.",),
    ),
    (
        ("Do you offer financing?", "Can I finance a car with you?", "What financing options do you have?",
         "Can I get a car loan?", "Do you have loans?", "How does financing work?", "Can I pay monthly?",
         "Tell me about financing"),
        ("Yes, we offer financing through several lenders, and most loans run from 36 to 72 months. "
         "Would you like our finance team to prepare a quote?",),
    ),
    (
        ("What is the interest rate?", "What would my monthly payment be?", "What APR do you offer?",
         "How much is it per month?"),
        ("That depends on your credit, the down payment and the length of the loan. "
         "Our finance team can give you an exact figure. Would you like me to connect you?",),
    ),
    (
        ("I have bad credit, can you help?", "Do you do loans with bad credit?", "Can I get a loan with no credit?"),
        ("We work with several lenders and can help in most credit situations. "
         "Would you like our finance team to contact you?",),
    ),
    (
        ("Do you take trade-ins?", "Can I trade in my old car?", "I have a car to trade in", "How do trade-ins work?",
         "What is my trade worth?", "Can I sell you my car?", "Will you buy my car?", "trade in?"),
        ("Yes, we take trade-ins. Tell me the year, make, model and mileage of your car and our team will "
         "prepare an estimate.",),
    ),
    (
        ("Do your cars come with a warranty?", "Is there a warranty?", "What warranty do you offer?",
         "How long is the warranty?", "Are used cars under warranty?"),
        ("New vehicles come with the full manufacturer warranty, and certified used vehicles include a limited "
         "warranty. Extended coverage is available too.",),
    ),
    (
        ("Where are you located?", "What is your address?", "How do I get to the dealership?",
         "Where is your showroom?"),
        (f"You can find the address of {DEALERSHIP} and directions on our website. Would you like to book a visit?",),
    ),
    (
        ("Can I return a car?", "What is your return policy?", "Can I get my money back?"),
        ("Our sales team can explain the return policy for each vehicle. Would you like me to connect you?",),
    ),
    (
        ("Do you deliver?", "Can you deliver the car to my home?", "Do you offer home delivery?"),
        ("Yes, we can deliver many of our vehicles to your home. Our team will confirm the cost for your area.",),
    ),
    (
        ("Do you have a service center?", "Can I get an oil change?", "I need to book a service",
         "My car needs new brakes",
         "Do you repair cars?", "Can you change my tires?", "I need service for my car",
         "How do I book a service appointment?"),
        ("Yes, our service center takes care of oil changes, brakes, tires and repairs. "
         "What day would you like to come in?",),
    ),
    (
        ("What does certified pre-owned mean?", "What is a certified used car?", "Is certified better than used?"),
        ("A certified pre-owned vehicle is a used car that passed a detailed inspection and comes with a "
         "limited warranty.",),
    ),
    (
        ("Is a hybrid worth it?", "Should I get a hybrid?", "Hybrid or gas?", "Why would I buy a hybrid?"),
        ("A hybrid pays off if you drive a lot in the city, because it uses much less fuel there. "
         "On the highway a gas car can be the better value.",),
    ),
    (
        ("Should I buy an electric car?", "Are electric cars good?", "What about charging an EV?",
         "Is an EV right for me?"),
        ("An electric car is a good choice if you can charge at home and your daily trips are short. "
         "It costs less to run and needs less maintenance.",),
    ),
    (
        ("Do I need all-wheel drive?", "Is AWD better than FWD?", "What is AWD?", "Which drive is best for snow?"),
        ("All-wheel drive gives better grip in snow and rain. "
         "On dry roads front-wheel drive costs less and saves fuel.",),
    ),
    (
        ("Should I lease or buy?", "What is better, leasing or buying?", "Can I lease a car?",
         "How does leasing work?"),
        ("Leasing has lower monthly payments and lets you change cars often. Buying costs more each month, "
         "but the car is yours in the end.",),
    ),
    (
        ("Should I buy new or used?", "New or used?", "Do you sell used cars?", "Do you sell new cars?"),
        ("We sell both new and used vehicles. A new car has the latest features and full warranty, "
         "while a used car costs less and loses its value more slowly.",),
    ),
    (
        ("What documents do I need?", "What do I need to bring?", "What should I bring to buy a car?"),
        ("Please bring your driver's license, proof of insurance and proof of income if you want financing.",),
    ),
    (
        ("How do I buy a car from you?", "Tell me about your dealership", "Tell me everything about buying a car",
         "Explain in detail how buying a car works", "Tell me more about Summit Drive Motors",
         "Write a long text about your dealership", "Describe the buying process step by step"),
        (f"At {DEALERSHIP} buying a car takes a few simple steps. First, tell me what kind of vehicle you need and "
         "how much you want to spend, and I will suggest some models. Then you come in for a test drive, Monday "
         "through Saturday from 9 AM to 7 PM. If you like the car, our finance team prepares a quote, and we can "
         "take your old car as a trade-in. Every new vehicle comes with the full manufacturer warranty, and our "
         "service center takes care of it for years. What kind of vehicle are you looking for?",),
    ),
)  # fmt: skip


def question(talk: Conversation) -> None:
    asked, answered = talk.rng.choice(QUESTIONS)
    talk.user(*asked)
    talk.assistant(*answered)


def trade_in(talk: Conversation) -> None:
    """The customer describes the car to trade in at once."""
    model, year, miles = talk.rng.choice(CATALOGUE), talk.rng.randint(2008, 2023), talk.rng.randint(20, 150)
    car = f"{year} {model.full_name}"
    talk.user(
        f"I want to trade in my {car}", f"What is my {car} worth?",
        f"I have a {car} with {miles},000 miles to trade in",
        f"Can I trade in a {car}?", f"Would you take my {car} with {miles}k miles?",
    )  # fmt: skip
    talk.assistant(
        f"Yes, we would be glad to look at your {car}. Our team can give you an estimate. When can you bring it in?"
    )


def drive_booking(talk: Conversation) -> None:
    """Books a test drive, asking for whatever the customer left out: vehicle, day, time, name."""
    known = talk.vehicle is not None
    car = talk.vehicle.model.full_name if talk.vehicle else talk.rng.choice(CATALOGUE).full_name
    day, time = talk.pick(*DAYS), talk.pick(*TIMES)
    on_day = day if day == "tomorrow" else f"on {day}"
    says_car = not known and talk.chance(0.7)
    says_day, says_time = talk.chance(0.45), talk.chance(0.5)
    request = talk.pick(
        "I'd like to book a test drive",
        "Can I book a test drive",
        "I want to schedule a test drive",
        "Can I get a test drive",
        "I would like a test drive",
        "test drive",
    )
    request += f" of the {car}" if says_car else ""
    request += f" {on_day}" if says_day else ""
    request += f" at {time}" if says_day and says_time else ""
    talk.user(request)
    if not known and not says_car:
        talk.assistant("I'd be happy to arrange a test drive. Which vehicle would you like to drive?")
        talk.user(f"The {car}", car, f"{car} please", f"a {car}")
    if not says_day:
        talk.assistant(f"Sure! What day would you like to drive the {car}?")
        talk.user(on_day, f"{day} works", f"How about {day}?", day, f"{day} please")
    if not (says_day and says_time):
        talk.assistant("What time works best for you?")
        talk.user(time, f"at {time}", f"{time} please", f"{time} would be good", f"around {time}")
    if not talk.name:
        talk.assistant("What name should I put on the appointment?")
        talk.name = talk.pick(*NAMES)
        talk.user(talk.name, f"I'm {talk.name}", f"My name is {talk.name}", f"It's {talk.name}", f"{talk.name}, thanks")
    talk.assistant(
        f"Thank you, {talk.name}. Your test drive of the {car} is booked for {day} at {time}. "
        "Please bring your driver's license."
    )
    if talk.chance(0.3):
        talk.user(
            "When is my appointment?",
            "What time is my test drive?",
            "When should I come?",
            "Can you repeat the appointment?",
        )
        talk.assistant(f"Your test drive of the {car} is booked for {day} at {time}.")
