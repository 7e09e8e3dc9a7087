"""Families of emoji that must not be split between training and testing.

Two emoji belong to one family when they are drawn from the same design: the same code point up to
gender, hair, direction and profession joiners, one set of symbols (clock faces, moon phases,
letters in boxes, hearts ...), or one object in several states (mailboxes, locks, books ...).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

JOINERS = {"200d", "fe0f", "2640", "2642", "27a1", "1f9b0", "1f9b1", "1f9b2", "1f9b3"}
ADULTS = {"1f468", "1f469", "1f9d1"}  # man, woman, person
CHILDREN = {"1f466", "1f467", "1f9d2"}
SUBCATEGORIES = {  # drawn as one set
    "keycap", "alphanum", "zodiac", "religion", "av-symbol", "arrow", "geometric", "heart", "math",
    "punctuation", "gender", "flag", "family", "cat-face", "monkey-face",
}  # fmt: skip
SETS = {  # family: pattern of short names, matched in full
    "clocks": r"clock\d+",
    "hourglasses": r"hourglass.*",
    "moons": r".*moon|.*moon_with_face",
    "clouds": r"(mostly|barely|partly)_sunny.*|cloud|.*_cloud(_.*)?|lightning|tornado|fog",
    "suns": r"sunny|sun_with_face",
    "stars": r"star|star2|stars|sparkles|dizzy",
    "umbrellas": r".*umbrella.*",
    "snowmen": r"snowman.*",
    "skylines": r"foggy|night_with_stars|sunrise.*|city_.*|cityscape|bridge_at_night",
    "mountains": r"mount_fuji|mountain|snow_capped_mountain|volcano",
    "islands": r"desert_island|palm_tree",
    "globes": r"earth_.*|globe_with_meridians",
    "suits": r"spades|clubs|hearts|diamonds",
    "medals": r"first_place_medal|second_place_medal|third_place_medal|sports_medal|medal",
    "books": r".*_book|book|books|notebook.*|ledger",
    "pages": r"page_.*|bookmark_tabs|memo|.*scroll",
    "newspapers": r".*newspaper",
    "calendars": r"date|calendar|spiral_.*",
    "folders": r".*file_folder|card_index_dividers",
    "charts": r"chart.*|bar_chart",
    "clips": r".*paperclips?",
    "pins": r".*pushpin",
    "rulers": r".*_ruler",
    "pens": r"lower_left_.*|pencil2|black_nib",
    "banknotes": r"yen|dollar|euro|pound|money_with_wings",
    "dollars": r"currency_exchange|heavy_dollar_sign",
    "trays": r".*_tray",
    "envelopes": r"e?-?mail|.*envelope.*|love_letter",
    "mailboxes": r"mailbox.*|postbox",
    "locks": r"lock|unlock|lock_.*|closed_lock.*",
    "keys": r"key|old_key",
    "speakers": r"mute|speaker|sound|loud_sound",
    "bells": r"bell|no_bell|bellhop_bell",
    "megaphones": r"loudspeaker|mega",
    "phones": r"iphone|calling|mobile_phone_off|vibration_mode|no_mobile_phones",
    "receivers": r"telephone_receiver|phone",
    "discs": r"minidisc|cd|dvd",
    "screens": r"computer|desktop_computer|tv",
    "batteries": r".*battery",
    "magnifiers": r"mag|mag_right",
    "cameras": r"camera.*|movie_camera|video_camera|film_projector",
    "film": r"film_frames|cinema",
    "notes": r"musical_note|notes|musical_score",
    "microphones": r".*microphone",
    "prohibitions": r"no_(?!good|mouth).*|do_not_litter|non-potable_water|underage",
    "blue_signs": r"mens|womens|restroom|wc|baby_symbol|potable_water|put_litter.*|atm|wheelchair",
    "borders": r"passport_control|customs|baggage_claim|left_luggage",
    "marks": r"x|o|heavy_check_mark|white_check_mark|ballot_box_with_check|"
    r"negative_squared_cross_mark|.*asterisk|eight_pointed_black_star|sparkle",
    "trade": r"copyright|registered|tm",
    "loops": r"curly_loop|loop",
    "balloons_of_speech": r"speech_balloon|thought_balloon|left_speech_bubble|right_anger_bubble",
    "pointing_hands": r"point_.*|index_pointing.*|middle_finger",
    "fists": r"facepunch|fist|.*-facing_fist",
    "thumbs": r"\+1|-1",
    "flat_hands": r".*ards_hand|.*ards_pushing_hand|palm_.*_hand",
    "open_hands": r"hand|raised_hand_with.*|raised_back_of_hand|spock-hand|wave",
    "pinches": r"pinched_fingers|pinching_hand",
    "horn_hands": r"the_horns|i_love_you.*|call_me_hand",
    "together": r"open_hands|palms_up_together|raised_hands|clap|pray|heart_hands",
    "ears": r"ear|ear_with_hearing_aid",
    "limbs": r"leg|foot|mechanical_leg|muscle|mechanical_arm",
    "silhouettes": r"bust.*_silhouette|family|family_.*|people_hugging",
    "christmas": r"santa|mrs_claus|mx_claus",
    "crowned": r"prince|princess|person_with_crown",
    "dancing": r"dancer|man_dancing",
    "pregnant": r"pregnant_.*",
    "feeding": r".*_feeding_baby|breast-feeding",
    "wheelchairs": r".*_(motorized|manual)_wheelchair.*",
    "parts_of_wheelchairs": r"(motorized|manual)_wheelchair",
    "people": r"boy|girl|child|older_.*|blond.*|person_with_blond_hair|.*beard.*",
    "superpeople": r".*super(hero|villain)",
    "merpeople": r"mer(maid|man|person)",
    "weddings": r".*_in_tuxedo|.*_with_veil",
    "rats": r"rat|mouse|mouse2",
    "oxen": r"ox|water_buffalo|cow2|cow|bison",
    "tigers": r"tiger2?|leopard",
    "rabbits": r"rabbit2?",
    "cats": r"cat2?|black_cat",
    "horses": r"racehorse|horse|carousel_horse|donkey",
    "monkeys": r"monkey|monkey_face|orangutan|gorilla",
    "dogs": r"dog2?|service_dog|guide_dog|poodle",
    "pigs": r"pig2?|boar|pig_nose",
    "sheep": r"ram|sheep|goat",
    "camels": r"camel|dromedary_camel",
    "whales": r"whale2?",
    "dragons": r"dragon|dragon_face",
    "chicks": r".*_chick|rooster|chicken",
    "fish": r"fish|tropical_fish",
    "nests": r"empty_nest|nest_with_eggs",
    "trees": r"evergreen_tree|deciduous_tree|leafless_tree|christmas_tree",
    "leaves": r"maple_leaf|fallen_leaf|leaves|herb|seedling",
    "clovers": r"four_leaf_clover|shamrock",
    "round_flowers": r"cherry_blossom|blossom|hibiscus|sunflower|white_flower|rosette",
    "roses": r"rose|wilted_flower",
    "citrus": r"tangerine|lemon|lime",
    "apples": r"apple|green_apple|pear",
    "melons": r"melon|watermelon",
    "breads": r"stuffed_flatbread|flatbread|burrito|taco|falafel",
    "cakes": r"cake|birthday|moon_cake|fish_cake",
    "ices": r"icecream|ice_cream|shaved_ice",
    "rices": r"rice|rice_ball|rice_cracker|curry",
    "bowls": r"ramen|stew|shallow_pan_of_food|green_salad|bowl_with_spoon",
    "beers": r"beers?|tropical_drink|cocktail",
    "glasses_of_wine": r"wine_glass|clinking_glasses|champagne",
    "cups": r"tea|coffee|sake|teapot",
    "cutlery": r"fork_and_knife|knife_fork_plate|hocho|spoon",
    "tickets": r"admission_tickets|ticket",
    "ribbons": r"ribbon|reminder_ribbon",
    "fireworks": r"fireworks|sparkler",
    "shoes": r".*_shoe|.*boot|hiking_boot|.*sandal|high_heel|ballet_shoes",
    "trousers": r"briefs|shorts|bikini|one-piece_swimsuit",
    "spectacles": r"eyeglasses|dark_sunglasses|goggles",
    "hats": r"tophat|womans_hat|billed_cap|mortar_board|military_helmet|helmet_with_white_cross",
    "bags": r"handbag|pouch|purse|shopping_bags|school_satchel",
    "balls": r"basketball|volleyball|soccer|baseball|softball|tennis|8ball",
    "oval_balls": r"football|rugby_football",
    "sticks": r"field_hockey.*|ice_hockey.*|lacrosse|cricket_bat.*",
    "rackets": r"table_tennis.*|badminton.*",
    "rail_fronts": r"bullettrain_front|train2|metro|light_rail|station|tram|monorail|train",
    "rail_sides": r"steam_locomotive|railway_car|bullettrain_side|mountain_railway",
    "buses": r"bus|oncoming_bus|trolleybus|minibus|busstop",
    "police_cars": r"police_car|oncoming_police_car",
    "taxis": r"taxi|oncoming_taxi",
    "cars": r"car|oncoming_automobile|blue_car|pickup_truck|auto_rickshaw",
    "trucks": r"truck|articulated_lorry|ambulance|fire_engine",
    "traffic_lights": r".*traffic_light",
    "motorcycles": r"racing_motorcycle|motor_scooter|scooter",
    "cableways": r"suspension_railway|mountain_cableway|aerial_tramway",
    "aeroplanes": r".*airplane.*",
    "boats": r"speedboat|motor_boat|boat",
    "ships": r"ship|passenger_ship|ferry",
    "houses": r"house|house_with_garden|house_buildings|derelict_house_building|hut",
    "towers": r"office|post_office|european_post_office|hospital|bank|hotel|love_hotel|"
    r"convenience_store|school|department_store",
    "castles": r".*_castle",
    "churches": r"church|wedding",
    "hammers": r"hammer.*|pick|axe|wrench",
    "blades": r"dagger_knife|crossed_swords",
    "chains": r".*chains?|link",
    "brightness": r"low_brightness|high_brightness",
    "demons": r"imp|smiling_imp|japanese_.*",
    "skulls": r"skull|skull_and_crossbones",
    "aliens": r"alien|space_invader",
    "angry_faces": r"angry|rage",
    "grins": r"grinning|grin|smiley|smile|laughing|sweat_smile|joy|rolling_on_the_floor_laughing",
    "blushes": r"blush|relaxed|smiling_face_with_3_hearts|innocent|smiling_face_with_tear",
    "slight_smiles": r"slightly_smiling_face|upside_down_face|head_shaking_.*|melting_face",
    "tongues": r"stuck_out_tongue.*|yum|zany_face|money_mouth_face",
    "kisses": r"kissing.*",
    "heart_and_star_eyes": r"heart_eyes|star-struck",
    "plain_faces": r"neutral_face|expressionless|no_mouth|face_in_clouds|dotted_line_face",
    "asides": r"smirk|unamused|face_with_rolling_eyes|face_with_raised_eyebrow",
    "frowns": r".*frowning_face|confused|worried|disappointed|face_with_diagonal_mouth",
    "open_mouths": r"open_mouth|hushed|astonished|face_exhaling|frowning|anguished|shaking_face",
    "fears": r"fearful|cold_sweat|scream",
    "sweats": r"sweat|disappointed_relieved|sleepy|cry|sob",
    "weary_faces": r"weary|tired_face|confounded|persevere|yawning_face",
    "pleading": r"pleading_face|face_holding_back_tears|flushed",
    "sleepers": r"relieved|pensive|sleeping|drooling_face|face_with_bags_under_eyes",
    "dizzy_faces": r"dizzy_face|face_with_spiral_eyes",
    "sick_faces": r"nauseated_face|face_vomiting|sneezing_face",
    "covered_mouths": r"face_with_hand_over_mouth|face_with_open_eyes.*|shushing_face",
    "glasses_faces": r"sunglasses|nerd_face|face_with_monocle|disguised_face",
}


def family(entry: Mapping[str, str]) -> str:
    """Family of one entry of emoji.json (`unified`, `short_name`, `subcategory`)."""
    if entry["subcategory"] in SUBCATEGORIES:
        return entry["subcategory"]
    for name, pattern in SETS.items():
        if re.fullmatch(pattern, entry["short_name"]):
            return name
    points = [p for p in entry["unified"].lower().split("-") if p not in JOINERS]
    people = [p for p in points if p in ADULTS | CHILDREN]
    things = [p for p in points if p not in ADULTS | CHILDREN]
    if people:
        return f"person-{things[0]}" if things else "people"
    return points[0]


def assign_splits(families: Sequence[str], categories: Sequence[str]) -> list[str]:
    """Train, val or test for every image: about 80/5/15 percent of each category, whole families.

    Families of more than nine images go to train; the others are taken in the order of a hash of
    their name, first for test, then for val, while they fit the category's share.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(families):
        members[name].append(index)
    home = {name: categories[rows[0]] for name, rows in members.items()}
    splits = ["train"] * len(families)
    for category in sorted(set(categories)):
        total = sum(c == category for c in categories)
        names = [n for n in members if home[n] == category and len(members[n]) < 10]
        names.sort(key=lambda n: blake2b(n.encode(), digest_size=8).digest())
        room = {"test": 0.15 * total, "val": 0.05 * total}
        for name in names:
            for split in room:
                if len(members[name]) <= room[split] + 0.5:
                    room[split] -= len(members[name])
                    for index in members[name]:
                        splits[index] = split
                    break
    return splits
