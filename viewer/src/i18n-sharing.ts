/** The words of consultations and links. French is written first, English after it; both say the same. */

import type { Agreement, ConsultationState, Purpose, Urgency } from "./model/consultation";

export interface SharingWords {
  opinion: string;
  opinionTip: string;
  /* the panel */
  askTitle: string;
  tabConsultation: string;
  tabAsk: string;
  tabLink: string;
  panelTitle: string;
  /* asking */
  to: string;
  filterColleagues: string;
  anyPathologist: string;
  askedLast: (when: string) => string;
  noColleague: string;
  colleaguesAway: string;
  question: string;
  questionHint: string;
  urgencyTitle: string;
  urgency: Record<Urgency, string>;
  purposeTitle: string;
  purpose: Record<Purpose, string>;
  objected: (purposes: string) => string;
  scopeTitle: string;
  wholeCase: (slides: number) => string;
  thisSlide: string;
  pinned: string;
  pinAgain: string;
  backToPin: string;
  veiled: string;
  sendTo: (slides: number, site: string) => string;
  sendNowhere: string;
  missingTo: string;
  missingQuestion: string;
  someone: string;
  /* drafts */
  draftSaving: string;
  draftSaved: (when: string) => string;
  draftFailed: string;
  /* sent */
  sentTo: (site: string) => string;
  undo: (seconds: number) => string;
  undoTip: string;
  leftFor: (site: string) => string;
  tooLate: string;
  /* links */
  linkFor: string;
  days: (days: number) => string;
  usesTitle: string;
  uses: (uses: number) => string;
  reason: string;
  reasonHint: string;
  missingReason: string;
  recipientMail: string;
  recipientMailHint: string;
  codeGoes: (mail: string) => string;
  makeLink: (slides: number, days: string) => string;
  linkReady: string;
  linkOnce: string;
  linkAddress: string;
  linkUntil: (when: string) => string;
  copyLink: string;
  copied: string;
  revokeLink: string;
  linkRevoked: string;
  anotherLink: string;
  allLinks: string;
  /* one consultation */
  state: Record<ConsultationState, string>;
  yourTurn: string;
  turnOf: (site: string) => string;
  asks: (who: string, site: string) => string;
  asked: (who: string, site: string) => string;
  goToView: string;
  agreementTitle: string;
  agreement: Record<Agreement, string>;
  answerText: string;
  answerHint: string;
  sign: (site: string) => string;
  signedForGood: string;
  missingAgreement: string;
  missingAnswer: string;
  theOpinion: string;
  amendment: string;
  signed: (who: string, site: string, when: string) => string;
  thread: string;
  moves: Record<string, (site: string) => string>;
  send: string;
  moved: Record<string, string>;
  noteFor: Record<string, string>;
  missingNote: string;
  back: string;
  wholeConsultation: string;
  somebodyAnswered: (site: string) => string;
  toOpinion: string;
  /* trouble */
  notSent: string;
  sessionOver: string;
  /* guests */
  guest: string;
  guestUntil: (when: string, dated: boolean) => string;
  guestRevoked: string;
  guestRevokedMore: string;
  guestExpired: string;
  guestExpiredMore: string;
  guestObjected: string;
  guestObjectedMore: string;
  guestPinned: (version: string) => string;
  guestVersion: string;
  guestMaker: string;
  guestMakerMore: string;
  guestNone: string;
  guestNoneMore: string;
  shareEnded: string;
  shareEndedMore: string;
  /* keys */
  keyAsk: string;
  keySend: string;
}

export const sharingFr: SharingWords = {
  opinion: "Avis",
  opinionTip: "Demander un avis, faire un lien d’invité",
  askTitle: "Demander un avis",
  tabConsultation: "Avis",
  tabAsk: "Demander un avis",
  tabLink: "Lien d’invité",
  panelTitle: "Demande d’avis",
  to: "À qui",
  filterColleagues: "Nom ou centre",
  anyPathologist: "Tout pathologiste du centre",
  askedLast: (when) => `demandé ${when}`,
  noColleague: "Aucun collègue ne correspond.",
  colleaguesAway: "La liste des collègues n’a pas pu être lue.",
  question: "Votre question",
  questionHint: "Ce que vous voyez, ce qui vous fait hésiter. Ni nom ni numéro de patient.",
  urgencyTitle: "Urgence",
  urgency: { routine: "Normale", urgent: "Urgente" },
  purposeTitle: "Finalité",
  purpose: { care: "Soin", tumour_board: "RCP", teaching: "Enseignement", research: "Recherche" },
  objected: (purposes) => `Opposition du patient : ${purposes}. Rien de ce cas ne peut être montré pour cela.`,
  scopeTitle: "Lames",
  wholeCase: (slides) => `Les ${slides}`,
  thisSlide: "Celle-ci",
  pinned: "Vue épinglée",
  pinAgain: "Épingler celle-ci",
  backToPin: "Y revenir",
  veiled: "Part sans étiquette, ni nom, ni numéro de cas.",
  sendTo: (slides, site) => `Envoyer ${slides === 1 ? "1 lame" : `${slides} lames`} à ${site}`,
  sendNowhere: "Envoyer",
  missingTo: "Choisissez à qui vous demandez cet avis.",
  missingQuestion: "Écrivez votre question.",
  someone: "Votre correspondant",
  draftSaving: "Enregistrement…",
  draftSaved: (when) => `Brouillon enregistré à ${when}`,
  draftFailed: "Brouillon pas encore enregistré, nouvel essai…",
  sentTo: (site) => `Envoyé à ${site}`,
  undo: (seconds) => `Annuler (${seconds} s)`,
  undoTip: "La demande est retirée avant tout courriel, et votre texte vous revient",
  leftFor: (site) => `Parti pour ${site}`,
  tooLate: "Il est trop tard pour annuler l’envoi.",
  linkFor: "Valable",
  days: (days) => (days === 1 ? "1 jour" : `${days} jours`),
  usesTitle: "Ouvertures",
  uses: (uses) => (uses === 0 ? "Sans limite" : uses === 1 ? "Une seule" : `${uses}`),
  reason: "Motif",
  reasonHint: "Par exemple : avis du Pr X, sans compte IAIN",
  missingReason: "Dites pourquoi vous faites ce lien : le motif figure au journal.",
  recipientMail: "Courriel du destinataire",
  recipientMailHint: "Facultatif : un code y part à l’ouverture",
  codeGoes: (mail) => `À l’ouverture, un code part à ${mail} ; sans lui, le lien ne montre rien.`,
  makeLink: (slides, days) => `Créer un lien vers ${slides === 1 ? "1 lame" : `${slides} lames`}, ${days}`,
  linkReady: "Le lien est prêt",
  linkOnce: "Il n’est montré qu’une fois : copiez-le maintenant.",
  linkAddress: "Adresse du lien",
  linkUntil: (when) => `Valable jusqu’au ${when}. Vous verrez dans Liens quand il a été ouvert.`,
  copyLink: "Copier le lien",
  copied: "Copié",
  revokeLink: "Fermer l’accès de l’invité",
  linkRevoked: "Accès fermé : ce lien n’ouvre plus rien.",
  anotherLink: "Faire un autre lien",
  allLinks: "Tous mes liens",
  state: {
    requested: "demandé",
    opened: "ouvert",
    accepted: "pris en charge",
    declined: "décliné",
    more_information: "complément demandé",
    answered: "répondu",
    closed: "fermé",
    cancelled: "annulé",
  },
  yourTurn: "à vous",
  turnOf: (site) => `chez ${site}`,
  asks: (who, site) => `${who}, ${site}, vous demande :`,
  asked: (who, site) => `Demandé à ${who}, ${site}`,
  goToView: "Aller à la vue épinglée",
  agreementTitle: "Votre avis",
  agreement: {
    agree: "D’accord",
    minor: "Désaccord mineur",
    major: "Désaccord majeur",
    undecided: "Je ne peux pas conclure",
  },
  answerText: "Réponse",
  answerHint: "Ce que vous voyez, ce que vous concluez.",
  sign: (site) => `Signer et envoyer à ${site}`,
  signedForGood: "Signé, l’avis ne change plus ; il se complète.",
  missingAgreement: "Choisissez si vous êtes d’accord.",
  missingAnswer: "Écrivez votre réponse.",
  theOpinion: "Avis rendu",
  amendment: "Complément",
  signed: (who, site, when) => `${who}, ${site}, ${when}`,
  thread: "Fil",
  moves: {
    accept: () => "Je m’en charge",
    ask: () => "Complément…",
    decline: () => "Décliner…",
    reply: (site) => `Apporter le complément à ${site}…`,
    close: (site) => `Fermer la demande, et l’accès de ${site}`,
    cancel: (site) => `Retirer la demande : ${site} ne verra plus rien`,
  },
  send: "Envoyer",
  moved: {
    request: "demandé",
    open: "ouvert",
    accept: "pris en charge",
    decline: "décliné",
    ask: "complément demandé",
    reply: "complément apporté",
    answer: "répondu",
    amend: "complété",
    close: "fermé",
    cancel: "annulé",
  },
  noteFor: {
    decline: "Pourquoi, et à qui s’adresser",
    ask: "Ce qu’il vous manque : bloc, coloration, clinique",
    reply: "Votre complément",
  },
  missingNote: "Écrivez une phrase : elle part avec.",
  back: "Revenir",
  wholeConsultation: "Page de l’avis",
  somebodyAnswered: (site) => `${site} a répondu`,
  toOpinion: "Revenir à l’avis",
  notSent: "Le serveur ne répond pas. Votre texte reste ici : réessayez.",
  sessionOver:
    "Votre session est terminée. Reconnectez-vous dans un autre onglet, puis réessayez : votre texte reste ici.",
  guest: "invité",
  guestUntil: (when, dated) => `jusqu’${dated ? "au" : "à"} ${when}`,
  guestRevoked: "Ce lien a été révoqué.",
  guestRevokedMore:
    "Le centre qui vous l’avait envoyé a retiré l’accès à ces lames. Lui seul peut vous en envoyer un autre.",
  guestExpired: "Ce lien a expiré.",
  guestExpiredMore: "Son délai est passé. Demandez-en un autre au centre qui vous l’avait envoyé.",
  guestObjected: "Ces lames ne peuvent plus être montrées.",
  guestObjectedMore:
    "Elles ne le sont plus pour cette finalité. Adressez-vous au centre qui vous avait envoyé le lien.",
  guestPinned: (version) => `Image figée à la création du lien, version ${version}`,
  guestVersion: "version",
  guestMaker: "Ce lien n’est plus valable.",
  guestMakerMore: "La personne qui l’avait fait n’a plus accès à ces lames. Adressez-vous à son centre.",
  guestNone: "Votre visite est terminée.",
  guestNoneMore: "Rouvrez le lien que vous avez reçu pour voir ces lames.",
  shareEnded: "Ces lames ne vous sont plus ouvertes.",
  shareEndedMore:
    "La demande d’avis est fermée ou retirée, ou le patient s’oppose à cet usage. Ce qui a été écrit reste sur sa page.",
  keyAsk: "Demander un avis, répondre, faire un lien",
  keySend: "Envoyer, depuis le texte",
};

export const sharingEn: SharingWords = {
  opinion: "Opinion",
  opinionTip: "Ask for an opinion, make a guest link",
  askTitle: "Ask for an opinion",
  tabConsultation: "Opinion",
  tabAsk: "Ask for an opinion",
  tabLink: "Guest link",
  panelTitle: "Request for an opinion",
  to: "From whom",
  filterColleagues: "Name or centre",
  anyPathologist: "Any pathologist of the centre",
  askedLast: (when) => `asked ${when}`,
  noColleague: "No colleague matches.",
  colleaguesAway: "The list of colleagues could not be read.",
  question: "Your question",
  questionHint: "What you see, what makes you hesitate. No patient’s name or number.",
  urgencyTitle: "Urgency",
  urgency: { routine: "Routine", urgent: "Urgent" },
  purposeTitle: "Purpose",
  purpose: { care: "Care", tumour_board: "Tumour board", teaching: "Teaching", research: "Research" },
  objected: (purposes) => `The patient objects: ${purposes}. Nothing of this case can be shown for that.`,
  scopeTitle: "Slides",
  wholeCase: (slides) => `All ${slides}`,
  thisSlide: "This one",
  pinned: "Pinned view",
  pinAgain: "Pin this one",
  backToPin: "Go back to it",
  veiled: "Goes without label, name or case number.",
  sendTo: (slides, site) => `Send ${slides === 1 ? "1 slide" : `${slides} slides`} to ${site}`,
  sendNowhere: "Send",
  missingTo: "Choose whom you ask.",
  missingQuestion: "Write your question.",
  someone: "Your colleague",
  draftSaving: "Saving…",
  draftSaved: (when) => `Draft saved at ${when}`,
  draftFailed: "Draft not saved yet, trying again…",
  sentTo: (site) => `Sent to ${site}`,
  undo: (seconds) => `Undo (${seconds} s)`,
  undoTip: "The request is withdrawn before any mail leaves, and your text comes back",
  leftFor: (site) => `On its way to ${site}`,
  tooLate: "It is too late to undo.",
  linkFor: "Valid for",
  days: (days) => (days === 1 ? "1 day" : `${days} days`),
  usesTitle: "Openings",
  uses: (uses) => (uses === 0 ? "No limit" : uses === 1 ? "Only one" : `${uses}`),
  reason: "Reason",
  reasonHint: "For instance: opinion of Prof. X, who has no account",
  missingReason: "Say why you make this link: the reason stands in the journal.",
  recipientMail: "Recipient’s mail address",
  recipientMailHint: "Optional: a code goes there first",
  codeGoes: (mail) => `When it is opened, a code goes to ${mail}; without it, the link shows nothing.`,
  makeLink: (slides, days) => `Make a link to ${slides === 1 ? "1 slide" : `${slides} slides`}, ${days}`,
  linkReady: "The link is ready",
  linkOnce: "It is shown only once: copy it now.",
  linkAddress: "Address of the link",
  linkUntil: (when) => `Valid until ${when}. Links tells you when it was opened.`,
  copyLink: "Copy the link",
  copied: "Copied",
  revokeLink: "Close the guest’s access",
  linkRevoked: "Access closed: this link opens nothing any more.",
  anotherLink: "Make another link",
  allLinks: "All my links",
  state: {
    requested: "requested",
    opened: "opened",
    accepted: "accepted",
    declined: "declined",
    more_information: "more asked for",
    answered: "answered",
    closed: "closed",
    cancelled: "cancelled",
  },
  yourTurn: "your turn",
  turnOf: (site) => `with ${site}`,
  asks: (who, site) => `${who}, ${site}, asks you:`,
  asked: (who, site) => `Asked of ${who}, ${site}`,
  goToView: "Go to the pinned view",
  agreementTitle: "Your opinion",
  agreement: {
    agree: "Agreement",
    minor: "Minor disagreement",
    major: "Major disagreement",
    undecided: "Undecided",
  },
  answerText: "Answer",
  answerHint: "What you see, what you conclude.",
  sign: (site) => `Sign and send to ${site}`,
  signedForGood: "Once signed it does not change; it can be amended.",
  missingAgreement: "Choose whether you agree.",
  missingAnswer: "Write your answer.",
  theOpinion: "Opinion given",
  amendment: "Amendment",
  signed: (who, site, when) => `${who}, ${site}, ${when}`,
  thread: "Thread",
  moves: {
    accept: () => "I take it",
    ask: () => "Ask for more…",
    decline: () => "Decline…",
    reply: (site) => `Give ${site} what it asks…`,
    close: (site) => `Close, and end the access of ${site}`,
    cancel: (site) => `Withdraw: ${site} will see no more`,
  },
  send: "Send",
  moved: {
    request: "requested",
    open: "opened",
    accept: "accepted",
    decline: "declined",
    ask: "more asked for",
    reply: "more given",
    answer: "answered",
    amend: "amended",
    close: "closed",
    cancel: "cancelled",
  },
  noteFor: {
    decline: "Why, and whom to ask instead",
    ask: "What you miss: block, stain, history",
    reply: "What was asked for",
  },
  missingNote: "Write a sentence: it goes along.",
  back: "Back",
  wholeConsultation: "Page of this opinion",
  somebodyAnswered: (site) => `${site} has answered`,
  toOpinion: "Back to the opinion",
  notSent: "The server does not answer. Your text stays here: try again.",
  sessionOver: "Your session has ended. Log in in another tab, then try again: your text stays here.",
  guest: "guest",
  guestUntil: (when) => `until ${when}`,
  guestRevoked: "This link was revoked.",
  guestRevokedMore: "The centre that sent it has withdrawn access to these slides. Only it can send you another.",
  guestExpired: "This link has expired.",
  guestExpiredMore: "Its time is over. Ask the centre that sent it for another.",
  guestObjected: "These slides may no longer be shown.",
  guestObjectedMore: "They are no longer shown for this purpose. Please ask the centre that sent you the link.",
  guestPinned: (version) => `Image as it was when the link was made, version ${version}`,
  guestVersion: "version",
  guestMaker: "This link is no longer valid.",
  guestMakerMore: "The person who made it no longer has access to these slides. Please ask that centre.",
  guestNone: "Your visit is over.",
  guestNoneMore: "Open the link you received again to see these slides.",
  shareEnded: "These slides are no longer open to you.",
  shareEndedMore:
    "The request is closed or withdrawn, or the patient objects to its purpose. What was written stays on its page.",
  keyAsk: "Ask for an opinion, answer, make a link",
  keySend: "Send, from within the text",
};
