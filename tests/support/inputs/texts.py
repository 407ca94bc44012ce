"""Short texts in five languages whose words mislead: the right answer shares fewer of them than the wrong.

And texts that are hard to count in: other scripts, emoji, combining marks, nothing at all.
"""

QUERIES = (
    "Which apple is sold by a maker of telephones?",
    "Who pays when the bank of the river gives way?",
    "哪家公司生产苹果手机？",
    "谁来支付河岸坍塌的费用？",
    "Quel avocat défend les locataires devant le tribunal ?",
    "Où pousse l'avocat que l'on mange ?",
    "Welches Schloss schützt die Haustür vor Einbrechern?",
    "Wer wohnte im Schloss über dem Rhein?",
    "¿Qué banco presta dinero para comprar una casa?",
    "¿Dónde está el banco de madera del parque?",
)

DOCUMENTS = (
    "The firm from Cupertino presented a new handset with a better camera and a faster chip.",
    "An apple a day keeps the doctor away, says the maker of cider, and sells apple by apple.",
    "After the flood the county repaired the eroded shore, and its insurance covered the cost.",
    "The bank pays interest to whoever gives it money; the river bank branch pays most.",
    "库比蒂诺的这家公司发布了新款智能手机，摄像头更好，芯片更快。",
    "苹果是一种水果，果农生产苹果，每家公司都吃苹果。",
    "洪水过后，县政府修复了受侵蚀的堤防，保险承担了费用。",
    "银行向存款人支付利息，河岸支行支付得最多。",
    "Maître Dubois plaide pour ceux que l'on veut expulser de leur logement.",
    "L'avocat est un fruit vert ; l'avocat mûrit devant le tribunal des gourmets.",
    "Ce fruit à noyau vient du Mexique, où ses arbres couvrent les collines.",
    "Un Zylinder mit fünf Stiften hält Diebe draußen, wenn der Schlüssel zweimal gedreht wird.",
    "Das Schloss über dem Rhein hat eine Haustür aus Eiche und ein Schloss aus Eisen.",
    "Der Kurfürst zog mit seinem Hofstaat in die Burg und blieb bis zu seinem Tod.",
    "La entidad concede hipotecas a treinta años con un interés fijo del tres por ciento.",
    "El banco de madera del parque presta su sombra a quien quiere comprar una casa.",
    "Junto al estanque hay un asiento pintado de verde, bajo los plátanos.",
)

STRANGE = (
    "x",
    " ",
    "   \t\n  ",
    "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 👍🏽 thumb and 🧑‍🚀 in space",
    "e\u0301cole, cafe\u0301 and noe\u0308l in NFD; \u00e9cole, caf\u00e9 and no\u00ebl in NFC",
    "العقد ينتهي بعد ثلاثين يوماً من الإخطار الكتابي",
    "החוזה יסתיים שלושים יום לאחר ההודעה",
    "अनुबंध तीस दिन की सूचना के बाद समाप्त होता है।",
    "สัญญาสิ้นสุดลงหลังจากแจ้งล่วงหน้าสามสิบวัน",
    "zero\u200bwidth\u200djoiners\u200c and \ufeffmarks, a \u00ad soft hyphen and a \x07 bell",
    "ＦＵＬＬ　ＷＩＤＴＨ ﬁne ligatures ½ ① Ⅳ ㎏ ㈱",
    "한국어 계약서는 삼십일 후에 종료됩니다. 日本語の契約書もです。",
    "a" * 300,
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒷𝑒𝓎𝑜𝓃𝒹 the basic plane 𐍈 𠜎",
)

# A contract-like text of a few hundred tokens, for windows.
LONG = "\n".join(
    f"§ {number}. {DOCUMENTS[number % len(DOCUMENTS)]} {STRANGE[3 + number % 8]}" for number in range(24)
)
