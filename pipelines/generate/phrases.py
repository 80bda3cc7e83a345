"""What people write: many languages and scripts, escapes, emoji, and what breaks careless programs."""

from typing import Final

PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "de": (
        "Grüß Gott, haben Sie geöffnet?",
        "Wo bleibt meine Bestellung?",
        "Größe 38 wäre schön 😊",
        "Passt, danke!",
    ),
    "en": (
        "Hi there!",
        'Is the "Loden" coat back in size 40?',
        "Can I return my parcel? 📦",
        "50% off \\o/ & <b>more</b>",
    ),
    "es": ("¿Tenéis envío a Canarias?", "¡Muchísimas gracias!", "Mañana a las 9 🙏", "No funciona el código…"),
    "fr": (
        "Bonjour, où en est ma commande ?",
        "C’est parfait, merci beaucoup",
        "À bientôt 👋",
        "Ça coûte combien ?",
    ),
    "pl": ("Dzień dobry, źle się wyświetla", "Czy jest żółty?", "Dziękuję 🌷", "Zażółć gęślą jaźń"),
    "tr": ("Merhaba, kargom nerede?", "İğne iplik var mı?", "Teşekkürler 🙏🏽", "Şu an çalışmıyor"),
    "el": ("Καλημέρα, πότε ανοίγετε;", "Ευχαριστώ πολύ!", "Δεν το βρίσκω", "Εντάξει 👍"),
    "ru": ("Здравствуйте! Есть в наличии?", "Спасибо большое ❤️", "Когда привезёте?", "Ещё вопрос…"),
    "ar": ("مرحبا، هل المتجر مفتوح؟", "شكرًا جزيلاً 🌹", "أين طلبي رقم ٤٢؟", "تمام"),
    "he": ("שלום, מתי אתם פתוחים?", "תודה רבה!", "לא הגיע עדיין 😕", "מעולה"),
    "fa": ("سلام، این رنگ موجود است؟", "خیلی ممنون", "کِی می‌رسد؟", "باشه"),
    "hi": ("नमस्ते, क्या यह उपलब्ध है?", "बहुत धन्यवाद 🙏", "मेरा ऑर्डर कहाँ है?", "ठीक है"),
    "th": ("สวัสดีค่ะ ร้านเปิดกี่โมง", "ขอบคุณมากค่ะ 🙏", "ยังไม่ได้รับของเลย", "โอเค"),
    "ja": ("こんにちは、在庫はありますか？", "ありがとうございます🎌", "いつ届きますか。", "了解です"),
    "ko": ("안녕하세요, 재고 있나요?", "감사합니다 😊", "언제 도착하나요?", "네 알겠습니다"),
    "zh": ("你好，请问有货吗？", "谢谢！👍🏻", "我的包裹到哪里了？", "好的，𠮷野家旁边"),
    "vi": ("Chào shop, còn hàng không ạ?", "Cảm ơn nhiều nhé", "Bao giờ giao tới?", "Được rồi 🧡"),
    "emoji": ("👨‍👩‍👧‍👦", "🏳️‍🌈🤷🏽‍♀️", "👍", "❤️‍🔥"),
}
"""Sentences by language."""
LANGUAGES: Final = tuple(PHRASES)
ANSWERS: Final = (
    "Thanks for asking! We open at 9.",
    "Ihre Bestellung ist unterwegs 🚚",
    "Un instant, je regarde…",
    "はい、ございます。",
    "نعم، متوفر",
    "All good? 🙂",
    "Line one\nline two\twith a tab",
    "It is 38 € / 40 \\u20ac, see https://shop.example/?a=1&b=2",
)
"""What agents answer."""
NAMES: Final = (
    "Zoë ✨",
    "Łukasz",
    "Nguyễn Ánh",
    "محمد",
    "さくら",
    "O'Neill",
    "Анна",
    "Ana María",
    "דנה",
    "김민준",
    "Ø",
    "𝓙𝓸",
)
"""Names that contacts give themselves."""
EMOJI: Final = ("❤️", "👍🏽", "😂", "😮", "🙏", "👏")
"""Reactions."""
