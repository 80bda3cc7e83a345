/**
 * What the widget says, by language.
 *
 * @typedef {{
 *   title: string, subtitle: string, welcome: string, open: string, close: string, messages: string,
 *   placeholder: string, send: string, emoji: string, you: string, today: string, sending: string,
 *   sent: string, waiting: string, tryNow: string, failed: string, tooLong: string, tryAgain: string,
 *   answer: string, unread: string, typing: string, seen: string, unshown: string,
 *   away: string, emailHint: string, sendEmail: string,
 * }} Texts
 */

/** @type {Texts} */
const en = {
  title: 'Chat with us',
  subtitle: 'Leave us a message',
  welcome: 'Hello! What can we do for you? Please tell us how we can reach you, too.',
  open: 'Open chat',
  close: 'Close chat',
  messages: 'Messages',
  placeholder: 'Write a message',
  send: 'Send',
  emoji: 'Insert emoji',
  you: 'You wrote:',
  today: 'Today',
  sending: 'Sending …',
  sent: 'Sent',
  waiting: 'Not sent yet. We keep trying.',
  tryNow: 'Try now',
  failed: 'This could not be sent.',
  tooLong: 'This is too long to be sent.',
  tryAgain: 'Try again',
  answer: 'Answer:',
  unread: 'New messages:',
  typing: 'is typing …',
  seen: 'Seen',
  unshown: 'This message cannot be shown here.',
  away: 'We are away. We answer as soon as we are back.',
  emailHint: 'Your e-mail address, if you like',
  sendEmail: 'Send address',
};

/** @type {Texts} */
const de = {
  title: 'Schreiben Sie uns',
  subtitle: 'Hinterlassen Sie uns eine Nachricht',
  welcome: 'Guten Tag! Was können wir für Sie tun? Bitte sagen Sie uns auch, wie wir Sie erreichen.',
  open: 'Chat öffnen',
  close: 'Chat schließen',
  messages: 'Nachrichten',
  placeholder: 'Nachricht schreiben',
  send: 'Senden',
  emoji: 'Emoji einfügen',
  you: 'Sie schrieben:',
  today: 'Heute',
  sending: 'Wird gesendet …',
  sent: 'Gesendet',
  waiting: 'Noch nicht gesendet. Wir versuchen es weiter.',
  tryNow: 'Jetzt versuchen',
  failed: 'Das konnte nicht gesendet werden.',
  tooLong: 'Das ist zu lang, um gesendet zu werden.',
  tryAgain: 'Noch einmal',
  answer: 'Antwort:',
  unread: 'Neue Nachrichten:',
  typing: 'schreibt …',
  seen: 'Gelesen',
  unshown: 'Diese Nachricht kann hier nicht gezeigt werden.',
  away: 'Wir sind gerade nicht da. Wir antworten, sobald wir zurück sind.',
  emailHint: 'Ihre E-Mail-Adresse, wenn Sie mögen',
  sendEmail: 'Adresse senden',
};

/** @type {Texts} */
const es = {
  title: 'Escríbanos',
  subtitle: 'Déjenos un mensaje',
  welcome: '¡Hola! ¿En qué podemos ayudarle? Díganos también cómo podemos contactarle.',
  open: 'Abrir el chat',
  close: 'Cerrar el chat',
  messages: 'Mensajes',
  placeholder: 'Escriba un mensaje',
  send: 'Enviar',
  emoji: 'Insertar emoji',
  you: 'Usted escribió:',
  today: 'Hoy',
  sending: 'Enviando …',
  sent: 'Enviado',
  waiting: 'Aún no enviado. Seguimos intentándolo.',
  tryNow: 'Intentar ahora',
  failed: 'No se pudo enviar.',
  tooLong: 'Es demasiado largo para enviarlo.',
  tryAgain: 'Reintentar',
  answer: 'Respuesta:',
  unread: 'Mensajes nuevos:',
  typing: 'está escribiendo…',
  seen: 'Visto',
  unshown: 'Este mensaje no se puede mostrar aquí.',
  away: 'No estamos ahora. Responderemos en cuanto volvamos.',
  emailHint: 'Su correo electrónico, si lo desea',
  sendEmail: 'Enviar dirección',
};

/** @type {Texts} */
const fr = {
  title: 'Écrivez-nous',
  subtitle: 'Laissez-nous un message',
  welcome: 'Bonjour ! Que pouvons-nous faire pour vous ? Dites-nous aussi comment vous joindre.',
  open: 'Ouvrir le chat',
  close: 'Fermer le chat',
  messages: 'Messages',
  placeholder: 'Écrire un message',
  send: 'Envoyer',
  emoji: 'Insérer un emoji',
  you: 'Vous avez écrit :',
  today: 'Aujourd’hui',
  sending: 'Envoi …',
  sent: 'Envoyé',
  waiting: 'Pas encore envoyé. Nous réessayons.',
  tryNow: 'Essayer maintenant',
  failed: 'L’envoi n’a pas abouti.',
  tooLong: 'C’est trop long pour être envoyé.',
  tryAgain: 'Réessayer',
  answer: 'Réponse :',
  unread: 'Nouveaux messages :',
  typing: 'est en train d’écrire…',
  seen: 'Vu',
  unshown: 'Ce message ne peut pas être affiché ici.',
  away: 'Nous sommes absents. Nous répondrons dès notre retour.',
  emailHint: 'Votre adresse e-mail, si vous le souhaitez',
  sendEmail: 'Envoyer l’adresse',
};

/** @type {Texts} */
const ar = {
  title: 'تواصل معنا',
  subtitle: 'اترك لنا رسالة',
  welcome: 'مرحبًا! كيف يمكننا مساعدتك؟ أخبرنا أيضًا كيف نتواصل معك.',
  open: 'فتح الدردشة',
  close: 'إغلاق الدردشة',
  messages: 'الرسائل',
  placeholder: 'اكتب رسالة',
  send: 'إرسال',
  emoji: 'إدراج رمز تعبيري',
  you: 'كتبتَ:',
  today: 'اليوم',
  sending: 'جارٍ الإرسال…',
  sent: 'تم الإرسال',
  waiting: 'لم تُرسل بعد. سنواصل المحاولة.',
  tryNow: 'حاول الآن',
  failed: 'تعذّر إرسال هذه الرسالة.',
  tooLong: 'هذه الرسالة أطول من أن تُرسل.',
  tryAgain: 'أعد المحاولة',
  answer: 'الرد:',
  unread: 'رسائل جديدة:',
  typing: 'يكتب الآن…',
  seen: 'تمت القراءة',
  unshown: 'لا يمكن عرض هذه الرسالة هنا.',
  away: 'نحن غير متاحين الآن. سنرد فور عودتنا.',
  emailHint: 'بريدك الإلكتروني، إن أردت',
  sendEmail: 'إرسال العنوان',
};

/** @type {Record<string, Texts>} */
const LANGUAGES = { en, de, es, fr, ar };

/**
 * @param {string} language a BCP 47 tag
 * @returns {Texts} in that language, or in English
 */
export function textsFor(language) {
  return LANGUAGES[language.toLowerCase().split('-')[0] ?? ''] ?? en;
}
